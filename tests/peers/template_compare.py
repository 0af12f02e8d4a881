"""Compares our chat templates with PyPI jinja2 (3.1.6), set up as transformers does, on random templates, or on those of files over
conversations with tools.

  python tests/peers/template_compare.py [--binary build/cpu/tests/llm_text_test] [--count 20000] [--seed 0] [FILE.jinja ...]

What jinja2 renders we must render, letter for letter. Counted apart: what only jinja2 refuses (we let lists stand for its
generators and write any value where it wants text), and what it never looks at because nothing reads the generator. Exit code 1 if
any differs."""
import argparse
import copy
import datetime
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "n": 7, "zero": 0, "neg": -3, "f": 2.5, "s": "Hello wörld", "empty": "", "lines": "a\n  b\n\nc ", "yes": True, "no": False, "nil": None,
    "words": ["b", "A", "c", "ä", ""], "nums": [3, 1, 2, 10, -1], "mixed": [1, "x", None, 2.0, [1, 2], {"k": 1}], "none_list": [],
    "d": {"b": 1, "a": "x", "items": [1], "C": None}, "chat": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Yo"}, {"type": "image"}]},
                                                         {"role": "tool", "content": {"r": [1.5, True]}}]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells \"the\" weather\n<é>", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Where"}, "items": {"type": "array", "items": {"type": "integer"}}}, "required": ["city"]}}}]
CALL = {"type": "function", "id": "abc123XYZ", "function": {"name": "weather", "arguments": {"city": "Zürich \"<|im_end|>\"", "days": 2, "near": {"km": [1.5, None, True]}}}}
OTHER = {"type": "function", "id": "abc123XY0", "function": {"name": "weather", "arguments": {}}}
ASKED = {"role": "user", "content": "How is the weather?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "content": "{\"degrees\": 21}", "tool_call_id": "abc123XYZ", "name": "weather"}
CONVERSATIONS = [[ASKED], [{"role": "system", "content": " Be brief. "}, ASKED, CALLED, TOLD], [ASKED, CALLED, TOLD, {"role": "assistant", "content": "Fine."}, ASKED],
                 [ASKED, {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, OTHER]}, TOLD, dict(TOLD, tool_call_id="abc123XY0")]]
# Generators that nothing reads are not looked at by jinja2, which gives constants slices that are undefined; strings have no '%'
# with us, lists no methods.
NOT_OURS = ["expected something to iterate over", "items of", "has no length", " of a string", "a list has no method", "a slice of"]
NAMES = list(VARIABLES) + ["missing"]
FILTERS = ["trim", "upper", "lower", "title", "capitalize", "length", "count", "first", "last", "list", "reverse", "sort", "unique", "join", "join(', ')", "join('-', attribute='role')",
           "tojson", "tojson(indent=2)", "int", "float", "string", "abs", "round", "round(1)", "max", "min", "items", "dictsort", "default('z')", "default('z', true)", "d(1)",
           "replace('o', '0')", "indent", "indent(2, true)", "select", "reject", "select('string')", "reject('none')", "select('odd')", "map('string')", "map('upper')",
           "map(attribute='role')", "map(attribute='x', default=0)", "selectattr('role')", "selectattr('role', 'equalto', 'user')", "rejectattr('role', 'in', ['user'])",
           "sort(reverse=true)", "sort(attribute='role')", "trim('a')", "select('in', ['b', 1])", "map('length')", "list | tojson", "int(3)"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "true", "false", "odd", "even", "upper", "lower",
         "divisibleby(2)", "equalto(7)", "eq('b')", "ne(1)", "gt(2)", "lt(2)", "ge(1)", "le(1)", "in [1, 'b', 7]", "sameas none", "callable"]
METHODS = ["strip()", "lstrip()", "rstrip()", "upper()", "lower()", "title()", "capitalize()", "split()", "split(' ')", "split('l', 1)", "rsplit('l', 1)", "startswith('H')", "endswith(('d', 'x'))",
           "replace('l', 'L')", "replace('l', 'L', 1)", "find('l')", "count('l')", "strip('Hd')", "isdigit()", "items() | list", "keys() | list", "values() | list", "get('a')", "get('q', 5)",
           "splitlines()", "isspace()", "rfind('l')", "index('l')", "join(words)", "isupper()", "islower()", "partition('l')"]
LITERALS = ["0", "1", "-2", "3", "10", "0.5", "1.0", "1e3", "'a'", "'é'", "''", "'a b'", '"it\'s"', "'\\n'", "true", "false", "none", "[]", "[1, 2]", "('x', 2)", "{}", "{'k': 'v', 'n': [1]}", "(1,)"]


class Maker:
    """Random templates."""

    def __init__(self, r):
        self.r = r

    def expression(self, depth=3):
        r = self.r
        kind = r.random() if depth else r.random() * 0.35
        sub = lambda: self.expression(depth - 1)
        if kind < 0.2:
            return r.choice(NAMES)
        if kind < 0.35:
            return r.choice(LITERALS)
        if kind < 0.52:
            return f"{self.atom(depth)} | {r.choice(FILTERS)}"
        if kind < 0.6:
            return f"{self.atom(depth)} is {r.choice(['', 'not '])}{r.choice(TESTS)}"
        if kind < 0.7:
            return f"{self.atom(depth)}.{r.choice(METHODS)}"
        if kind < 0.78:
            return f"{self.atom(depth)} {r.choice(['+', '-', '*', '//', '%', '/', '~', '~', '+'])} {self.atom(depth)}"
        if kind < 0.83:
            return f"{self.atom(depth)} {r.choice(['==', '!=', '<', '>', '<=', '>=', 'in', 'not in'])} {self.atom(depth)}"
        if kind < 0.87:
            return f"{sub()} {r.choice(['and', 'or'])} {sub()}"
        if kind < 0.9:
            return f"not {self.atom(depth)}"
        if kind < 0.93:
            return f"{self.atom(depth)} if {self.atom(depth)}" + (f" else {self.atom(depth)}" if r.random() < 0.8 else "")
        if kind < 0.97:
            bound = lambda: r.choice(["", "0", "1", "2", "-1", "-2", "5"])
            return f"{self.atom(depth)}[{bound()}:{bound()}{r.choice(['', ':' + r.choice(['1', '2', '-1', '-2'])])}]"
        return f"{self.atom(depth)}[{r.choice(['0', '1', '-1', '9', repr('a'), repr('role'), 'n'])}]"

    def atom(self, depth):
        return f"({self.expression(depth - 1)})" if self.r.random() < 0.6 else self.r.choice(NAMES if self.r.random() < 0.7 else LITERALS)

    def tag(self, text):
        return "{%" + self.r.choice(["", "-", "", ""]) + f" {text} " + self.r.choice(["", "-", "", ""]) + "%}"

    def block(self, depth=2):
        return "".join(self.statement(depth) for _ in range(self.r.randint(1, 3)))

    def statement(self, depth):
        r = self.r
        kind = r.random() if depth else r.random() * 0.5
        body = lambda: self.block(depth - 1)
        if kind < 0.3:
            return "{{" + r.choice([" ", "- "]) + self.expression(2) + r.choice([" ", " -"]) + "}}"
        if kind < 0.45:
            return r.choice(["text", " ", "\n", "  \n  ", "\n\n", "x {# gone #} y", "{#- c -#}", "\t\n", "é"])
        if kind < 0.5:
            return self.tag(f"set v = {self.expression(2)}") + "{{ v }}"
        if kind < 0.62:
            return self.tag(f"if {self.expression(2)}") + body() + (self.tag(f"elif {self.expression(1)}") + body() if r.random() < 0.3 else "") + \
                (self.tag("else") + body() if r.random() < 0.5 else "") + self.tag("endif")
        if kind < 0.82:
            head = r.choice(["x in nums", "x in words", "x in chat", "k, x in d.items()", "k, x in d | dictsort", "x in mixed", "x in 'abc'", "x in range(3)", f"x in {self.expression(1)}",
                             "x in nums if x is odd", "x in chat if x.role != 'user'"])
            inner = r.choice(["{{ x }}", "{{ loop.index }}", "{{ loop.last }}", "{{ x.role }}", "{{ loop.previtem }}", "{{ k }}", ""])
            control = self.tag("if loop.index > 1") + self.tag(r.choice(["break", "continue"])) + self.tag("endif") if r.random() < 0.2 else ""
            return self.tag(f"for {head}") + inner + control + body() + (self.tag("else") + body() if r.random() < 0.2 else "") + self.tag("endfor")
        if kind < 0.9:
            return self.tag(f"macro m(a, b={r.choice(LITERALS)})") + "{{ a }}" + body() + self.tag("endmacro") + "{{ m(" + r.choice(["1", "n, b=2", "'q', s", "a=nil"]) + ") }}"
        if kind < 0.94:
            return self.tag("set ns = namespace(i=0)") + self.tag("for x in nums") + self.tag(f"set ns.i = ns.i + {r.choice(['1', 'x', 'loop.index'])}") + self.tag("endfor") + "{{ ns.i }}"
        if kind < 0.97:
            return self.tag("set cap") + body() + self.tag("endset") + "{{ cap | trim }}"
        return self.tag(f"filter {r.choice(['upper', 'trim', 'title'])}") + body() + self.tag("endfilter")


def environment():
    def fail(message):
        raise jinja2.TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    made.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                                                                                                                     separators=separators, sort_keys=sort_keys)
    made.globals["raise_exception"] = fail
    made.globals["strftime_now"] = lambda text: datetime.datetime(2026, 11, 23).strftime(text)
    return made


def render(jinja, source, messages=(), tools=None, variables=VARIABLES):
    signal.alarm(5)
    try:
        return {"text": jinja.from_string(source).render(messages=list(messages), tools=tools, documents=None, add_generation_prompt=True, bos_token="<s>", eos_token="</s>",
                                                         **copy.deepcopy(variables))}
    except Exception as problem:  # whatever a template's author would see
        return {"error": f"{type(problem).__name__}: {problem}"}
    finally:
        signal.alarm(0)


def ours(binary, sources, messages=(), tools=None, variables=VARIABLES):
    """What the program renders of each: {"text"} or {"error"}."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = f"{folder}/templates.json", f"{folder}/out.json"
        with open(given, "w") as out:
            json.dump({"variables": variables, "templates": sources, "messages": list(messages), "tools": tools}, out)
        subprocess.run([binary, "[.template_peers]", "-r", "compact"], env=dict(os.environ, LV_TEMPLATES=given, LV_OUT=got), check=True, stdout=subprocess.DEVNULL)
        with open(got) as file:
            return json.load(file)


def show(source, expected, got):
    print(f"  template {source!r}\n  expected {expected}\n  got      {got}")


def compare_random(options):
    warnings.simplefilter("ignore")
    maker = Maker(random.Random(options.seed))
    sources = [("{{ " + maker.expression() + " }}") if i % 2 else maker.block() for i in range(options.count)]
    jinja, different, failed, apart = environment(), 0, 0, 0
    for source, our in zip(sources, ours(options.binary, sources)):
        expected = render(jinja, source)
        if re.search("<generator|<function|<built-in| at 0x|dict_items", expected.get("text", ""), re.IGNORECASE):
            continue  # how Python prints what is no value
        failed += "error" in expected
        if our == expected or "error" in expected and "error" in our:
            continue
        if "error" in expected or any(text in our.get("error", "") for text in NOT_OURS):
            apart += 1
            continue
        different += 1
        if different <= options.show:
            show(source, expected, our)
    print(f"{options.count} templates, {failed} that fail, {apart} of which one alone fails, {different} different")
    return 1 if different else 0


def compare_files(options):
    """Templates over conversations that call tools, and over one that has none."""
    jinja, different, failed, count = environment(), 0, 0, 0
    sources = [file.read_text() for file in options.files]
    for messages in CONVERSATIONS:
        for tools in (None, TOOLS):
            for file, source, our in zip(options.files, sources, ours(options.binary, sources, messages, tools, {})):
                expected = render(jinja, source, messages, tools, {})
                count += 1
                failed += "error" in expected
                if our == expected or "error" in expected and "error" in our:
                    continue
                different += 1
                if different <= options.show:
                    show(file.name, expected, our)
    print(f"{len(sources)} templates, {count} renderings, {failed} that fail, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path, metavar="FILE.jinja")
    arguments.add_argument("--binary", default="build/cpu/tests/llm_text_test")
    arguments.add_argument("--count", type=int, default=20000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--show", type=int, default=10)
    given = arguments.parse_args()
    sys.exit(compare_files(given) if given.files else compare_random(given))
