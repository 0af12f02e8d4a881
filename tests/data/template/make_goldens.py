"""Writes goldens.json: what PyPI jinja2 (3.1.6), set up as transformers does, renders from templates in the style of well-known
families, and from expressions one by one. A case's source is a name in `sources` or the template itself. Needs PyPI jinja2.

Beside it goes families.json: the templates of families/, which are written here after the formats that the models were trained on,
over conversations with tools, pictures and many turns. What the program's prompts cannot hold comes as the variable `chat`.

  python tests/data/template/make_goldens.py tests/data/template/goldens.json"""
import datetime
import json
import sys
from pathlib import Path

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def fail(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = fail
environment.globals["strftime_now"] = lambda text: datetime.datetime(2026, 11, 23).strftime(text)

CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful assistant.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

LLAMA3 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message, if any #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none %}
    {{- "You have access to these functions:\n\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("Only one call at once!") }}
        {%- endif %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

QWEN = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nSignatures within <tools></tools>:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("Roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles") }}
    {%- endif %}
{%- endfor %}
"""

LLAVA = """{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Pictures first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# Then the words #}{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""

SMOLVLM = """<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""

MACROS = """{%- macro header(role, open='<|', close='|>') %}
{{ open }}{{ role }}{{ close }}
{%- endmacro %}
{%- macro wrap() %}[{{ caller() }}]{% endmacro %}
{%- set prefix %}
  system: {{ messages | length }}
{% endset -%}
{{ prefix }}
{% for message in messages -%}
    {% if message.role == 'skip' %}{% continue %}{% endif %}
    {% if loop.index > 3 %}{% break %}{% endif %}
    {{ header(message.role) }}{{ header(message.role, close='>>') }}
    {% call wrap() %}{{ message.content }}{% endcall %}
    {{ loop.previtem.role if loop.previtem is defined else 'none' }} {{ loop.cycle('a', 'b') }}
  {% else %}
  nothing
{% endfor %}
{% raw %}{{ not this }} {% nor this %}{% endraw %}

   {# a comment #}
{%+ if true %} kept {%+ endif %}
{% with a = 1, b = 'x' %}{{ a }}{{ b }}{% endwith %}
{% filter upper %}loud{% endfilter %}
"""

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells \"the\" weather\n<é>", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1.5}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "Tells the time", "parameters": {}, "strict": True, "x": None}}]
SYSTEM = {"role": "system", "content": "  Be brief. "}
USER = {"role": "user", "content": " What is <|im_start|> this? 日本 "}
ASSISTANT = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nA cat.\n"}
CHATS = [[USER], [SYSTEM, USER], [SYSTEM, USER, ASSISTANT, USER], [USER, ASSISTANT], [USER, USER], [USER, ASSISTANT, {"role": "tool", "content": "42"}, {"role": "tool", "content": "43"}]]
TEXT, IMAGE = {"type": "text", "text": "What is this?"}, {"type": "image"}
PICTURE_CHATS = [[{"role": "user", "content": [IMAGE, TEXT]}],
                 [{"role": "user", "content": [TEXT, IMAGE, IMAGE, TEXT]}, {"role": "assistant", "content": [TEXT]}, {"role": "user", "content": [TEXT]}],
                 [{"role": "system", "content": [TEXT]}, {"role": "user", "content": [TEXT]}]]

EXPRESSIONS = r"""
(1 + 2 * 3 - 4 // 3 % 5) ~ 'x' ~ 2 ** 3 ** 2
-7 // 2 ~ ' ' ~ -7 % 3 ~ ' ' ~ 7 / 2 ~ ' ' ~ 2 ** -1 ~ ' ' ~ 1e20 ~ ' ' ~ 1.5e-7 ~ ' ' ~ 10.0
'abcdef'[1:4] ~ 'abcdef'[::-1] ~ 'abcdef'[-2:] ~ 'abcdef'[4:1:-2] ~ 'éa日'[1:] ~ 'éa日'[0]
[1, 2, 3, 4][::-1]
[1, 2, 3, 4][1:-1] + [5]
(1, 2) ~ (1,) ~ () ~ [1, 'a', none, true, 2.5, {'k': "it's"}]
'a' if false
'a' if false else 'b' if false else 'c'
not 1 == 2 and 3 in [1, 2, 3] or nothing
1 < 2 < 3
1 < 3 < 2
'a' in 'cat' and 'k' in {'k': 1} and 4 not in [1]
missing is defined
missing is not defined
missing
missing | default('d') ~ '' | default('e', true) ~ none | default('f')
none is none and true is boolean and 1 is number and 1.5 is float and 2 is even and 3 is odd and 9 is divisibleby 3
'x' is string and [] is sequence and {} is mapping and 'x' is iterable and 1 is integer and not 'x' is number
'abc' is in 'abcd'
1 is eq 1 and 2 is gt 1 and 1 is ne 2
' a b '.strip() ~ '|' ~ ' a b '.lstrip() ~ '|' ~ ' a b '.rstrip() ~ '|' ~ 'xxaxx'.strip('x')
'a,b,,c'.split(',') ~ 'a b  c '.split() ~ 'a,b,c'.split(',', 1) ~ 'a,b,c'.rsplit(',', 1) ~ ' a b c'.split(none, 1)
'hello world'.title() ~ 'hELLO'.capitalize() ~ 'Abc'.upper() ~ 'ABC'.lower() ~ "they're bill's".title()
'hello'.find('l') ~ 'hello'.find('z') ~ 'hello'.count('l') ~ 'a'.join(['x', 'y'])
'hello'.startswith('he') and 'hello'.endswith(('x', 'lo'))
'aXbXc'.replace('X', '-') ~ 'aXbXc'.replace('X', '-', 1) ~ 'ab' | replace('', '.')
'abc'.removeprefix('a').removesuffix('c')
{'a': 1, 'b': 2}.items() | list ~ {'a': 1}.keys() | list ~ {'a': 1}.values() | list ~ {'a': 1}.get('a') ~ {'a': 1}.get('z', 9) ~ {'a': 1}.get('z')
{'b': 1, 'a': {'items': 3}} | tojson
{'b': 1, 'a': [1, 2.0, 'é"\n\t\\', true, none, {}, []]} | tojson(indent=2)
{'b': [1, 2], 'a': {}} | tojson(separators=(',', ':')) ~ [1, {'a': 2}] | tojson(indent=1, separators=(', ', '='), sort_keys=true)
{'b': 1, 'a': 2} | dictsort ~ {'b': 1, 'a': 2} | dictsort(by='value')
{'b': 1, 'a': 2} | items | list
[3, 1, 2] | sort ~ ['b', 'A', 'c'] | sort ~ ['b', 'A', 'c'] | sort(reverse=true, case_sensitive=true)
[1, 1, 2, 'a', 'A'] | unique | list
[1, 2, 3, 4] | select('even') | list ~ [1, 2, 3] | reject('odd') | list ~ [0, 1, ''] | select | list
[{'a': 1}, {'a': 2}, {}] | selectattr('a') | list ~ [{'a': 1}, {'a': 2}] | rejectattr('a', 'equalto', 1) | list
[{'a': {'b': 1}}, {'a': {}}] | map(attribute='a.b', default='none') | join(', ')
['a', 'b'] | map('upper') | join ~ [1, 2] | join('-') ~ [{'x': 1}, {'x': 2}] | join('+', attribute='x')
'abc' | length ~ [1, 2] | count ~ {'a': 1} | length ~ 'éa日' | length
'abc' | first ~ [1, 2] | last ~ 'abc' | list ~ 'abc' | reverse ~ [1, 2] | reverse | list
'12' | int ~ 'x' | int ~ 'x' | int(7) ~ 3.9 | int ~ '3.5' | float ~ 'x' | float ~ 2.567 | round(1) ~ ' 12 ' | int
'a\nb\n\nc' | indent ~ 'a\nb' | indent(2, true) ~ 'a\n\nb' | indent(1, blank=true) ~ 'a\nb' | indent('> ')
'  x ' | trim ~ '--x-' | trim('-') ~ 'hello you' | title ~ 'HELLO' | capitalize ~ 5 | string
[1, 5, 2] | max ~ [3, 1] | min ~ -3 | abs
range(3) | list ~ range(1, 7, 2) | list ~ range(3, 0, -1) | list
dict(a=1, b='x')
namespace(a=1).a
'\x41\u00e9\'"\\\n' "joined" 'up'
"it's" ~ ["it's", 'say "hi"', 'both \' "']
1_000 + 0.5
{'a': {'b': [10, 20]}}.a.b.1 ~ {'a': 1}['a'] ~ {'items': 5}['items'] ~ [1, 2].0
true and 'yes' or 'no'
[] or {} or '' or 0
'a' * 3 ~ [none, true] ~ 1 == 1.0 ~ true == 1
(1 if missing else 2) ~ ('x' if 'x' else 'y')
none ~ true ~ false ~ None ~ True
5 is lessthan 6 and 'a' is lower and 'A' is upper
[[1, 2], [3]] | map('length') | list
messages[0].role ~ messages | length ~ messages[-1]['role']
"don't (re-do) it's 'x' a.b" | title ~ "don't (re-do) it's" .title()
3 | round ~ 2.5 | round ~ 3.5 | round ~ 2.345 | round(2) ~ true | round
[1, 2] * 2 ~ 2 * 'ab' ~ 'ab' * true ~ (1,) * 3 ~ [] * 9 ~ 'a' * -1
messages[0][1:]
'a\n\nb\r\nc'.splitlines() ~ ''.splitlines() ~ 'a\n'.splitlines()
'abcb'.rfind('b') ~ 'abcb'.index('b') ~ 'a=b=c'.partition('=') ~ 'a'.partition('=')
' \n'.isspace() ~ ''.isspace() ~ 'aB'.islower() ~ 'a1'.islower() ~ 'A1'.isupper() ~ '1'.isupper()
1.0 is odd ~ 2.0 is even ~ 2.5 is even ~ -3 is odd ~ true is odd ~ 4.0 is divisibleby 2
('x' if [] | select else 'y') ~ ('x' if [] | map('upper') else 'y') ~ ('x' if [] | select | list else 'y') ~ ('x' if {}.items() else 'y')
'' | indent(2, true) ~ '' | indent ~ missing is callable ~ none is sameas none ~ 1 is sameas true ~ [] | select is sequence
[{'a': 1}, {'b': 2}] | sort(attribute='z')
([1] | select)[0] ~ ([1, 2] | reverse)[0] ~ [1, 2] | reverse | first
([1] | map('string'))[:1]
0.0 % -2 ~ ' ' ~ -7.5 % 2 ~ ' ' ~ 7.5 % -2 ~ ([] | select != [])
""".strip("\n").split("\n")

SNIPPETS = ["{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }};{% endfor %}",
            "{% for x in [1, 2, 3, 4] if x is even %}{{ loop.index }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ x }}{% endfor %}",
            "{% for x in [] %}a{% else %}b{% endfor %}", "{% set x = 1 %}{% for y in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}",
            "{% for x in [1, 2] %}{% if y is defined %}seen{% endif %}{% set y = x %}{{ y }}{% endfor %}",
            "{% set a, b = 1, 2 %}{{ a + b }}", "{% set t %}  x {{ 1 }}{% endset %}[{{ t }}]", "{% set t | trim | upper %}  x {% endset %}[{{ t }}]",
            "{% if false %}a{% elif 0 %}b{% elif 'x' %}c{% else %}d{% endif %}", "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "  {{ 1 }}  \n  {%- if true -%}  x  {%- endif -%}  y",
            "x {#- gone -#} y {# gone #}\n z", "{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}",
            "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{{ {'a': {'b': 1}}.a }}", "{{ '}}' }}{{ \"{%\" }}",
            "{% for k, v in {'x': 1, 'y': [2]} | items %}{{ k }}={{ v }} {% endfor %}", "{% for c in 'éa' %}<{{ c }}>{% endfor %}", "a\r\nb\n\n", "\n  {% set x = 1 %}  \n  {{ x }}\n",
            "{% set ns = namespace(n=0) %}{% for x in [1, 2, 3] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "{% for x in [1, 2] %}{% for y in [3, 4] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
            "{% macro outer() %}{{ caller('q') }}{% endmacro %}{% set v = 'v' %}{% call(x) outer() %}{{ x }}{{ v }}{% endcall %}", "{{ raise_exception('no ' ~ 'way') }}", "{{ missing.x }}", "{{ 1 + 'a' }}",
            "{{ [1] + 'a' }}", "{{ missing + 1 }}", "{{ f() }}", "{{ 1 // 0 }}", "{% for x in 5 %}{% endfor %}", "{% if x %}", "{{ 'a' }", "{{ 1 + }}", "{% endfor %}", "{% for x in [1] %}", "{{ a b }}", "{{ 'a | b }}"]


def render(source, **variables):
    try:
        return {"text": environment.from_string(source).render(**variables)}
    except (jinja2.TemplateError, TypeError, ZeroDivisionError) as problem:
        return {"error": type(problem).__name__, "message": str(problem)}


cases = []
ALL_CHATS = CHATS + PICTURE_CHATS
SOURCES = dict(chatml=CHATML, llama3=LLAMA3, qwen=QWEN, mistral=MISTRAL, macros=MACROS, llava=LLAVA, smolvlm=SMOLVLM)


def add_case(source, chat, tools=False, add=True, variables={}):
    got = render(SOURCES.get(source, source), messages=ALL_CHATS[chat], tools=TOOLS if tools else None, add_generation_prompt=add, documents=None,
                 bos_token="<s>", eos_token="</s>", **variables)
    cases.append(dict(source=source, chat=chat, tools=tools, add=add, variables=variables, **got))


for name in ("chatml", "llama3", "qwen", "mistral", "macros"):
    for chat in range(len(CHATS)):
        for tools in (False, True):
            for add in (True, False):
                add_case(name, chat, tools, add, {"enable_thinking": False} if name == "qwen" and add else {})
for name in ("llava", "smolvlm"):
    for chat in range(len(CHATS), len(ALL_CHATS)):
        for add in (True, False):
            add_case(name, chat, add=add)
for source in ["{{ " + e + " }}" for e in EXPRESSIONS] + SNIPPETS:
    add_case(source, 2)
with open(sys.argv[1], "w") as out:
    out.write(json.dumps(dict(sources=SOURCES, chats=ALL_CHATS, tools=TOOLS, cases=cases), ensure_ascii=True, separators=(",", ":")) + "\n")
print(len(cases), "cases,", sum("error" in c for c in cases), "errors")

CALL = {"type": "function", "id": "abc123XYZ", "function": {"name": "weather", "arguments": {"city": "Zürich \"<|im_end|>\"", "days": 2, "near": {"km": [1.5, None, True]}}}}
OTHER_CALL = {"type": "function", "id": "abc123XY0", "function": {"name": "now", "arguments": {}}}
RESULT = {"role": "tool", "tool_call_id": "abc123XYZ", "content": "{\"degrees\": 21}"}
DONE = {"role": "assistant", "content": " It is 21 degrees.\n"}
NEXT = {"role": "user", "content": "Thanks!\n\n And tomorrow?  "}
SHORT = {"role": "system", "content": "Answer in one word. /no_think"}
TEXT_CHATS = CHATS[:5] + [[SHORT, USER], [SYSTEM], [], [USER, DONE] * 3 + [NEXT], [SHORT, USER, ASSISTANT, NEXT, ASSISTANT], [{"role": "user", "content": ""}],
                          [{"role": "system", "content": "Only this. /system_override"}, USER], [{"role": "critic", "content": "x"}]]
TOOL_CHATS = [[USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT, DONE, NEXT],
              [SYSTEM, USER, {"role": "assistant", "content": None, "tool_calls": [CALL, OTHER_CALL]}, RESULT, RESULT],
              [USER, {"role": "assistant", "content": "Let me see.", "reasoning_content": "\nI should look.\n", "tool_calls": [CALL]}, RESULT, ASSISTANT],
              [USER, {"role": "assistant", "content": "x", "tool_calls": [{"name": "weather", "arguments": {"city": "Bern"}, "id": "1"}]}],
              [USER, dict(DONE, reasoning_content="One\n\nTwo"), NEXT, dict(DONE, reasoning_content="Three")],
              [USER, {"role": "assistant", "content": "", "tool_calls": [{"id": "123456789", "function": {"name": "web_search", "arguments": {"query": "a"}}}]},
               {"role": "ipython", "content": {"output": [1, "é"]}}]]
MANY = [{"role": "user", "content": [IMAGE, IMAGE, TEXT, IMAGE, {"type": "text", "text": " and <image> typed\n"}]}, {"role": "assistant", "content": [TEXT]},
        {"role": "user", "content": [{"type": "text", "text": "  "}]}, {"role": "assistant", "content": [{"type": "text", "text": "ok "}]}, {"role": "user", "content": [IMAGE]}]
SEEING_CHATS = PICTURE_CHATS + [MANY, [{"role": "system", "content": [TEXT]}] + MANY, [{"role": "user", "content": [TEXT]}]]
TEXTS = range(len(TEXT_CHATS))
TALKS = range(len(TEXT_CHATS) + len(TOOL_CHATS))
SIGHTS = range(len(TALKS), len(TALKS) + len(SEEING_CHATS))
ALL = TEXT_CHATS + TOOL_CHATS + SEEING_CHATS
FOLDER = Path(__file__).resolve().parent / "families"
# Which conversations each is asked about, and with which variables.
FAMILIES = {
    "llama2": (TEXTS, [{}]), "vicuna": (TEXTS, [{}]), "qwen2": (TEXTS, [{}]), "smollm2": (TEXTS, [{}]), "qwen25": (TALKS, [{}]), "mistral": (TALKS, [{}]),
    "llama31": (TALKS, [{}, {"tools_in_user_message": False, "builtin_tools": ["code_interpreter", "web_search"], "date_string": "1 Jan 2026"}]),
    "qwen3": (TALKS, [{}, {"enable_thinking": False}, {"enable_thinking": True}]),
    "smollm3": (TALKS, [{}, {"enable_thinking": False, "xml_tools": ["<a>"], "python_tools": ["def f(): pass", {"n": [1, None, "it's"]}]}]),
    "idefics3": (SIGHTS, [{}]), "llava15": (SIGHTS, [{}]), "llava_onevision": (SIGHTS, [{}]), "qwen25_vl": (SIGHTS, [{}, {"add_vision_id": True}]),
}


def fits(message):
    """Whether a message of the program's prompts can say the same."""
    calls = message.get("tool_calls", [])
    return set(message) <= {"role", "content", "tool_calls", "tool_call_id", "name"} and not isinstance(message["content"], dict) and all("function" in call for call in calls)


def family_case(name, chat, tools, add, variables):
    messages, source = ALL[chat], (FOLDER / f"{name}.jinja").read_text()
    whole = not all(map(fits, messages))
    if whole:
        source, variables = "{%- set messages = chat -%}" + source, dict(variables, chat=messages)
    got = render(source, messages=[] if whole else messages, tools=TOOLS if tools else None, add_generation_prompt=add, documents=None, bos_token="<s>", eos_token="</s>",
                 **variables)
    variables = {key: value for key, value in variables.items() if key != "chat"}
    return dict(source=name, chat=chat, whole=whole, tools=tools, add=add, variables=variables, **got)


family_cases = [family_case(name, chat, tools, add, variables) for name, (chats, choices) in FAMILIES.items() for variables in choices for chat in chats
                for tools, add in ((False, True), (False, False), (True, True)) if (chats == TALKS or not tools) and (add or variables == choices[0])]
with open(Path(sys.argv[1]).with_name("families.json"), "w") as out:
    out.write(json.dumps(dict(chats=ALL, tools=TOOLS, cases=family_cases), ensure_ascii=True, separators=(",", ":")) + "\n")
print(len(family_cases), "cases of families,", sum("error" in c for c in family_cases), "errors")
