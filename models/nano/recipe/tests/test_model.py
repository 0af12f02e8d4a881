import struct
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from recipe.scores import read_lines
from recipe.model import gguf_file, step
from recipe.model.evidence import IGNORED, EvidencePointer
from recipe.model.interactor import Interactor, best, relevance
from recipe.model.language import LanguageModel
from recipe.model.merging import merged
from recipe.read import boxes_of, continued, united
from recipe.train import rate_share


def naive_merged(rows, keep, rounds=8):
    """The same by lists: of each row (vector, members), in the order that merging leaves; then by first members."""
    rows = [(row, [i]) for i, row in enumerate(rows)]
    budget = max(int(keep * len(rows) + 1e-9), 1)
    each = -(-(len(rows) - budget) // rounds)
    while len(rows) > budget:
        count = min(each, len(rows) - budget, len(rows) // 2)
        even, odd = rows[::2], rows[1::2]
        unit = [[r / r.norm() for r, _ in side] for side in (even, odd)]
        best_of = [max((float(a @ b), -j) for j, b in enumerate(unit[1])) for a in unit[0]]
        order = sorted(range(len(even)), key=lambda i: -best_of[i][0])
        for i in order[:count]:
            j = -best_of[i][1]
            (a, members_a), (b, members_b) = even[i], odd[j]
            total = len(members_a) + len(members_b)
            odd[j] = ((a * len(members_a) + b * len(members_b)) / total, members_b + members_a)
        rows = [even[i] for i in order[count:]] + odd
    return sorted(rows, key=lambda row: row[1][0])


class Merging(unittest.TestCase):
    def test_it_is_what_lists_give(self):
        torch.manual_seed(1)
        x = torch.randn(3, 37, 8)
        for keep in (.9, .5, .25, .1):
            got, row_of = merged(x, keep)
            for i in range(3):
                expected = naive_merged(list(x[i]), keep)
                torch.testing.assert_close(got[i], torch.stack([row for row, _ in expected]))
                for number, (_, members) in enumerate(expected):
                    self.assertTrue(bool((row_of[i, members] == number).all()))

    def test_all_stay_and_one_stays(self):
        x = torch.randn(1, 6, 4)
        torch.testing.assert_close(merged(x, 1.0)[0], x)
        torch.testing.assert_close(merged(x, .01)[0][0, 0], x[0].mean(0))

    def test_means_carry_gradients(self):
        x = torch.randn(1, 8, 4, requires_grad=True)
        merged(x, .5)[0].sum().backward()
        self.assertTrue(bool((x.grad != 0).all()))


class Choosing(unittest.TestCase):
    def test_the_best_of_each_view_stay_in_order_and_ties_keep_the_first(self):
        scores = torch.tensor([[[.1, .9, .9, .9], [.5, .2, .7, .1]]])
        self.assertEqual(best(scores, 2).tolist(), [[[1, 2], [0, 2]]])
        self.assertEqual(best(scores, 9).tolist(), [[[0, 1, 2, 3], [0, 1, 2, 3]]])

    def test_nothing_of_length_zero_wins(self):
        tokens = torch.tensor([[[[1.0, 0.0], [0.0, 0.0], [0.0, -1.0]]]])
        got = relevance(tokens, torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]))
        self.assertEqual(got.tolist(), [[[0.0, -1.0, -1.0]]])

    def test_untrained_it_hands_on_what_it_chose(self):
        torch.manual_seed(1)
        tokens, question = torch.randn(2, 3, 5, 16), torch.randn(2, 4, 16)
        got, places, _ = Interactor(16).eval()(tokens, question, 2)
        self.assertEqual(tuple(got.shape), (2, 6, 16))
        torch.testing.assert_close(got[1, 4], tokens[1, 2, places[1, 2, 0]])


class Pointing(unittest.TestCase):
    def test_it_learns_orders_of_several_at_once_and_to_stop_and_never_repeats(self):
        torch.manual_seed(1)
        pointer = EvidencePointer(8)
        groups, answers, counts = torch.randn(2, 5, 8), torch.randn(2, 8), torch.tensor([5, 2])
        targets = [[3, 1], [0]]
        wanted = torch.tensor([[4, 2, 0], [1, 0, IGNORED]])
        optimizer = torch.optim.Adam(pointer.parameters(), 1e-2)
        for _ in range(80):
            optimizer.zero_grad()
            pointer.loss(groups, counts, answers, wanted).backward()
            optimizer.step()
        self.assertLess(pointer.loss(groups, counts, answers, wanted).item(), .05)
        alone = pointer.loss(groups[1:, :2], counts[1:], answers[1:], wanted[1:])     # what is behind counts changes nothing, nor what has nothing to point at
        nothing = torch.cat([torch.full((1, 3), IGNORED), wanted[1:]])
        torch.testing.assert_close(pointer.loss(groups, counts, answers, nothing), alone)
        for i, expected in enumerate(targets):
            found, sure = pointer.point(groups[i, :counts[i]], answers[i])
            self.assertEqual(found, expected)
            self.assertGreater(sure, .8)

    def test_of_one_or_many_it_points_inside_and_at_each_once(self):
        torch.manual_seed(2)
        pointer = EvidencePointer(8)
        for count in (1, 2, 50):
            found, _ = pointer.point(torch.randn(count, 8), torch.randn(8), most=50)
            self.assertTrue(1 <= len(found) <= count)
            self.assertEqual(len(set(found)), len(found))
            self.assertTrue(all(0 <= i < count for i in found))

    def test_boxes_and_cells_are_each_others_inverse(self):
        share = step.overlap([.5, 0, 1, .5], 2, 2)
        self.assertEqual(share.tolist(), [[0, 1], [0, 0]])
        row_of = torch.tensor([0, 1, 0, 2])
        wanted = step.pointed(share.flatten().expand(2, -1) * torch.tensor([[1], [0]]), row_of.expand(2, -1), 3)
        self.assertEqual(wanted.tolist(), [[2, 0, IGNORED, IGNORED], [IGNORED] * 4])     # all in row 1; nowhere

        class Item:
            views, times = ["front"], [0.0]
        boxes, view, _ = boxes_of([1], row_of, Item, (2, 2))
        self.assertEqual((united(boxes), view), ([.5, 0, 1, .5], "front"))
        self.assertEqual(united([]), [])


def tiny_llama(layers=2, heads=4, key_heads=2, width=16, hidden=24, words=11):
    """(metadata, tensors under Hugging Face's names) of random numbers."""
    random = np.random.default_rng(1)
    sizes = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (width // heads * key_heads, width), "self_attn.o_proj": (width, width),
             "self_attn.v_proj": (width // heads * key_heads, width), "mlp.gate_proj": (hidden, width), "mlp.up_proj": (hidden, width),
             "mlp.down_proj": (width, hidden)}
    tensors = {"embed_tokens.weight": random.normal(0, 1, (words, width)), "norm.weight": random.normal(1, .1, width)}
    for i in range(layers):
        for name, shape in sizes.items():
            tensors[f"layers.{i}.{name}.weight"] = random.normal(0, .3, shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"layers.{i}.{name}.weight"] = random.normal(1, .1, width)
    metadata = {"llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 10000.0, "llama.attention.head_count": heads,
                "llama.attention.head_count_kv": key_heads, "llama.block_count": layers}
    return metadata, {name: x.astype(np.float32) for name, x in tensors.items()}


class Language(unittest.TestCase):
    def test_it_is_the_llama_of_transformers(self):
        from transformers import LlamaConfig, LlamaForCausalLM
        metadata, tensors = tiny_llama()
        reference = LlamaForCausalLM(LlamaConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=11,
            rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=True)).eval()
        reference.model.load_state_dict({name: torch.from_numpy(x) for name, x in tensors.items()})
        model = LanguageModel(metadata, tensors, 2, torch.float32).eval()
        ids = torch.tensor([[1, 5, 3, 7, 2, 9]])
        with torch.no_grad():
            hidden, middle, past = model(model.embedding[ids[:, :4]])
            later, _, _ = model(model.embedding[ids[:, 4:5]], past)
            expected = reference(ids, output_hidden_states=True)
        torch.testing.assert_close(model.logits(hidden), expected.logits[:, :4], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.logits(later), expected.logits[:, 4:5], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(middle, expected.hidden_states[1][:, :4], rtol=1e-4, atol=1e-5)


    def test_adapters_added_once_get_the_gradients_of_all_passes(self):
        metadata, tensors = tiny_llama()
        model = LanguageModel(metadata, tensors, 2, torch.float32)
        for layer in model.layers:
            for part in layer.parts.values():
                torch.nn.init.normal_(part.up)
        passes = [torch.randn(2, 5, 16), torch.randn(1, 7, 16)]
        for x in passes:
            model(x)[0].pow(2).sum().backward()
        expected = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        with model.added_once():
            for x in passes:
                model(x)[0].pow(2).sum().backward()
        torch.testing.assert_close([parameter.grad for parameter in model.parameters()], expected)
        with model.settled():
            self.assertFalse(model(passes[0])[0].requires_grad)

    def test_padded_prompts_go_on_as_each_alone(self):
        metadata, tensors = tiny_llama()
        model = LanguageModel(metadata, tensors, 2, torch.float32).eval()
        for layer in model.layers:
            torch.nn.init.normal_(layer.parts["q_proj"].up)
        x, lengths, later = torch.randn(2, 5, 16), torch.tensor([5, 3]), torch.randn(2, 1, 16)
        with torch.no_grad(), model.settled():
            _, _, past = model(x)
            seen = (torch.arange(6) < lengths[:, None]) | (torch.arange(6) >= 5)
            together, _, _ = model(later, past, lengths[:, None], seen[:, None, None])
        for i, n in enumerate(lengths):
            with torch.no_grad():
                alone, _, _ = model(torch.cat([x[i:i + 1, :n], later[i:i + 1]], 1))
            torch.testing.assert_close(together[i, 0], alone[0, -1])

    @mock.patch("recipe.read.MOST_TOKENS", 6)
    def test_answers_together_are_those_of_each_alone(self):
        metadata, tensors = tiny_llama()
        language = LanguageModel(metadata, tensors, 2, torch.float32).eval()
        for layer in language.layers:
            torch.nn.init.normal_(layer.parts["q_proj"].up)
        language.embedding.normal_(generator=torch.Generator().manual_seed(3))
        model = SimpleNamespace(language=language, tokenizer=SimpleNamespace(decode=lambda ids: ids))
        rows = [[1, 4, 5, 2], [1, 4, 5, 6, 7, 3], [1, 4, 5, 6, 8], [2, 9, 10], [2, 9, 1, 1, 5], [7, 3, 3, 4]]
        expected, middles = [], []
        with torch.no_grad():
            for row in rows:
                own = list(row)
                for _ in range(6):
                    own.append(int(language.logits(language(language.embedding[torch.tensor([own])])[0][0, -1]).argmax()))
                expected.append(own[len(row):])
                middles.append(language(language.embedding[torch.tensor([own])])[1][0])
            end = expected[1][3]
            model.ids = lambda text: [end]
            x = torch.nn.utils.rnn.pad_sequence([language.embedding[torch.tensor(row)] for row in rows], batch_first=True)
            got, before, states = continued(model, x, [len(row) for row in rows], [3, 2, 1])
        ended = [own[:own.index(end)] if end in own else own for own in expected]
        self.assertEqual(got, ended)
        self.assertGreater(len({len(own) for own in ended}), 1)
        for row, middle, own, first, answer in zip(rows, middles, ended, before, states):
            torch.testing.assert_close(first[:len(row)], middle[:len(row)])
            torch.testing.assert_close(answer, middle[len(row):len(row) + len(own)])


class Files(unittest.TestCase):
    def test_blocks_become_numbers_as_ggml_has_them(self):
        scale, least = np.float16(.5), np.float16(-2)
        nibbles = np.arange(16, dtype=np.uint8) | (15 - np.arange(16, dtype=np.uint8)) << 4
        raw = np.frombuffer(scale.tobytes() + least.tobytes() + nibbles.tobytes(), np.uint8)[None]
        np.testing.assert_array_equal(gguf_file.q4_1(raw)[0], np.concatenate([np.arange(16), 15 - np.arange(16)]) * .5 - 2)
        raw = np.frombuffer(scale.tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes(), np.uint8)[None]
        np.testing.assert_array_equal(gguf_file.q8_0(raw)[0], np.arange(-16, 16) * .5)

    def test_what_is_no_gguf_file_is_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(struct.pack("<4sI", b"GGML", 3) + bytes(32))
            file.flush()
            self.assertRaisesRegex(ValueError, "expected a GGUF file", gguf_file.read, file.name)


class Lines(unittest.TestCase):
    def test_a_broken_predictions_file_names_its_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"id": 1}\n{"id": \n')
            file.flush()
            with self.assertRaisesRegex(ValueError, ":2: expected a JSON object"):
                read_lines(file.name)


class Rates(unittest.TestCase):
    def test_they_rise_stay_and_fall(self):
        shares = [rate_share(at, left) for at, left in ((0, 1.0), (59, .99), (500, .5), (750, .3), (875, .15), (999, .001), (0, .15))]
        for got, expected in zip(shares, (1 / 60, 1, 1, 1, .5, .001 / .3, 1 / 60)):
            self.assertAlmostEqual(got, expected)


class Spans(unittest.TestCase):
    def test_means_are_of_each_span_behind_the_base(self):
        states = torch.arange(12.0).view(1, 6, 2)
        got = step.span_means(states, [[(0, 2), (3, 3)]], 2)
        self.assertEqual(got.tolist(), [[[5.0, 6.0], [10.0, 11.0]]])


if __name__ == "__main__":
    unittest.main()
