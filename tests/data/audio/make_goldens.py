"""Writes the goldens of tests/audio: a tiny random Whisper and log-mel spectrograms.

Ran with Python 3.11, torch 2.11.0, transformers 5.17.0, safetensors 0.8.0:
    python make_goldens.py
"""
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from lcg import lcg  # noqa: E402

HERE = Path(__file__).parent


def whisper(out):
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=40, vocab_size=53,
        max_source_positions=10, max_target_positions=12, num_mel_bins=8, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=3, attn_implementation="eager")
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape) * (0.3 if parameter.dim() > 1 else 0.1)
            if "layer_norm.weight" in name:
                noise += 1
            parameter.copy_(noise.half().float())
    features, ids = lcg(1, 2, 8, 20), torch.tensor([[3, 7, 52, 9, 11], [3, 40, 0, 1, 2]])
    with torch.inference_mode():
        got = model(input_features=features, decoder_input_ids=ids)
    folder = out / "tiny_whisper"
    folder.mkdir(exist_ok=True)
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items()
               if k != "proj_out.weight"}
    save_file(weights, folder / "model.safetensors")
    config.architectures = ["WhisperForConditionalGeneration"]
    (folder / "config.json").write_text(config.to_json_string())
    save_file({"encoder": got.encoder_last_hidden_state.contiguous(),
               "logits": got.logits.contiguous()}, out / "tiny_whisper.safetensors")


def log_mel(out):
    goldens = {}
    for mels in (80, 128):
        extractor = transformers.WhisperFeatureExtractor(feature_size=mels, chunk_length=1)
        for name, samples in (("short", 4001), ("long", 17000)):
            wave = lcg(samples, samples) * torch.linspace(0, 0.5, samples)
            mel = extractor(wave.numpy(), sampling_rate=16000, return_tensors="np")["input_features"]
            goldens[f"{name}_{mels}"] = torch.from_numpy(mel[0].astype(np.float32)).half()
    save_file(goldens, out / "log_mel.safetensors")


if __name__ == "__main__":
    whisper(HERE)
    log_mel(HERE)
