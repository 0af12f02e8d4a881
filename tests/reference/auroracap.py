"""AuroraCap's two layouts, made of LLaVA's files, and what a language model says after rows that are not all text."""
import json

import torch
from safetensors.torch import load_file, save_file

# What names in LLaVA's files begin with, in either layout, the folder where xtuner puts them, and what they begin with there.
XTUNER_NAMES = [("language_model.", "", ""), ("model.language_model.", "", "model."), ("lm_head.", "", "lm_head."),
                ("model.vision_tower.vision_model.", "visual_encoder", "vision_model."),
                ("vision_tower.vision_model.", "visual_encoder", "vision_model."),
                ("model.vision_tower.", "visual_encoder", "vision_model."), ("vision_tower.", "visual_encoder", "vision_model.")]
XTUNER_NAMES += [(f"{begin}multi_modal_projector.linear_{i + 1}.", "projector", f"model.{2 * i}.")
                 for begin in ("", "model.") for i in (0, 1)]


def answer_after(llm, head, rows):
    """Logits at every row, and twelve greedy ids after the last."""
    first, said = head(llm(inputs_embeds=rows).last_hidden_state), []
    logits = first
    for _ in range(12):
        said.append(logits[0, -1].argmax())
        rows = torch.cat([rows, llm.get_input_embeddings()(said[-1]).view(1, 1, -1)], 1)
        logits = head(llm(inputs_embeds=rows).last_hidden_state)
    return first, torch.stack(said).unsqueeze(0)


def as_whole(folder, keep):
    """LLaVA's files under AuroraCap's name, with a tensor that its own have and do not use."""
    config = json.loads((folder / "config.json").read_text())
    config.update(architectures=["AuroraForConditionalGeneration"], model_type="aurora", visual_token_merge_ratio=keep)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    tensors["image_newline"] = torch.zeros(config["text_config"]["hidden_size"])
    save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))


def as_xtuner(folder, keep):
    """LLaVA's files taken apart as xtuner leaves them."""
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    parts = {"": {}, "visual_encoder": {}, "projector": {}}
    for name, tensor in tensors.items():
        for begin, part, new in XTUNER_NAMES:
            if name.startswith(begin):
                parts[part][new + name[len(begin):]] = tensor
                break
        else:
            raise ValueError(name)
    vision = dict(config["vision_config"], architectures=["AuroraEncoder"], visual_token_merge_ratio=keep)
    projector = dict(model_type="projector", depth=2, hidden_act="gelu", architectures=["ProjectorModel"])
    text = dict(config["text_config"], architectures=["LlamaForCausalLM"], dtype=config["dtype"])
    configs = {"": text, "visual_encoder": vision, "projector": projector}
    for part, tensors in parts.items():
        (folder / part).mkdir(exist_ok=True)
        (folder / part / "config.json").write_text(json.dumps(configs[part], indent=1))
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / part / "model.safetensors")
    (folder / "preprocessor_config.json").rename(folder / "visual_encoder" / "preprocessor_config.json")
