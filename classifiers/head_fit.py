"""Fits a head over an encoder's embeddings, as FineWeb2-HQ does: the encoder stays as it is, each text is embedded once.

One thread, a seed and a fixed order make two fits on one machine the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.calibrate import calibration
from winnow.classifiers.examples import Example
from winnow.classifiers.model_folder import ModelFolder
from winnow.classifiers.transformer_head import Head, Pooling, pooled
from winnow.classifiers.transformer_model import Precision, load

Floats = npt.NDArray[np.float32]

EPOCHS, STEPS, BATCH, RATE, DECAY = 20, 1000, 64, 1e-3, 0.01
"""So many epochs, and so many steps at least."""
LONGEST = 512


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """`hidden`: width of the layer between, 0 for none. The best epoch on the validation side is kept."""

    pooling: Pooling = "mean"
    hidden: int = 256
    max_tokens: int | None = None
    precision: Precision = "float32"
    threads: int = 1
    seed: int = 0


def fit_head(
    folder: ModelFolder,
    found: Sequence[Example],
    positive: str | None,
    settings: HeadSettings,
) -> tuple[Head, npt.NDArray[np.float64]]:
    """The head, and its probabilities of the examples of the test side, [texts, labels]: of each text's first window.
    Raises ModelError."""
    labels = tuple(sorted({one.label for one in found}))
    window = folder.window(settings.max_tokens, LONGEST)
    places = {side: [n for n, one in enumerate(found) if one.side == side] for side in ("fit", "validation", "test")}
    embedded = _embedded(folder, [one.text for one in found], window, settings)
    truth = np.array([labels.index(one.label) for one in found], np.int64)
    fit, held = places["fit"], places["validation"] or places["fit"]
    layers = _trained(embedded[fit], truth[fit], embedded[held], truth[held], len(labels), settings)
    layers = _calibrated(layers, embedded[held], truth[held], None if positive is None else labels.index(positive))
    head = Head(
        model=folder.digest,
        pooling=settings.pooling,
        max_tokens=window,
        labels=labels,
        positive=positive,
        layers=tuple((weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in layers),
    )
    return head, _softmax(_logits(layers, embedded[places["test"]]))


def _embedded(folder: ModelFolder, texts: Sequence[str], window: int, settings: HeadSettings) -> Floats:
    """[texts, hidden size]"""
    import torch

    loaded = load(folder, "AutoModel", settings.precision, settings.threads)
    window = min(window, int(loaded.tokenizer.model_max_length))
    rows = loaded.tokenizer([text.strip() for text in texts], truncation=True, max_length=window)["input_ids"]
    out: Floats = np.empty((len(texts), loaded.model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for places, ids, mask in loaded.batches(rows, 4096, window):
            hidden = loaded.model(input_ids=ids, attention_mask=mask).last_hidden_state
            out[places] = pooled(hidden, mask, settings.pooling).cpu().numpy()[: len(places)]
    if not np.isfinite(out).all():
        raise ModelError(f"model '{folder.name}' gives embeddings that are no numbers in {settings.precision}")
    return out


Layers = list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]


def _trained(
    inputs: Floats,
    truth: npt.NDArray[np.int64],
    held: Floats,
    held_truth: npt.NDArray[np.int64],
    labels: int,
    s: HeadSettings,
) -> Layers:
    """AdamW over embeddings of mean 0 and variance 1, which the first layer takes on itself in the end; labels weigh alike."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    mean, std = inputs.mean(0), inputs.std(0) + 1e-6
    x, y = torch.tensor((inputs - mean) / std), torch.tensor(truth)
    other, other_truth = torch.tensor((held - mean) / std), torch.tensor(held_truth)
    weights = torch.tensor(
        len(truth) / (labels * np.maximum(np.bincount(truth, minlength=labels), 1)), dtype=torch.float32
    )
    drawn = torch.Generator().manual_seed(s.seed)
    widths = [x.shape[1], *([s.hidden] if s.hidden else []), labels]
    linear = [nn.Linear(a, b) for a, b in pairwise(widths)]
    for layer in linear:
        nn.init.normal_(layer.weight, 0.0, layer.in_features**-0.5, generator=drawn)
        nn.init.zeros_(layer.bias)
    model = nn.Sequential(*[part for layer in linear for part in (layer, nn.ReLU())][:-1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    best: tuple[float, Any] = (np.inf, None)
    for _ in range(max(EPOCHS, STEPS // -(-len(x) // BATCH))):
        order = torch.randperm(len(x), generator=drawn)
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(x[rows]), y[rows], weights))
            optimizer.step()
        with torch.inference_mode():
            loss = float(nn.functional.cross_entropy(model(other), other_truth, weights))
        if loss < best[0]:
            best = (
                loss,
                [(p.weight.detach().numpy().astype("f8"), p.bias.detach().numpy().astype("f8")) for p in linear],
            )
    (weight, bias), *rest = best[1]
    return [(weight / std, bias - weight @ (mean / std)), *rest]


def _calibrated(layers: Layers, held: Floats, truth: npt.NDArray[np.int64], positive: int | None) -> Layers:
    """With the last layer scaled and shifted so that a probability of 0.8 is right in 0.8 of the validation side."""
    raw = _softmax(_logits(layers, held))
    found = (
        calibration(raw, truth, "auto")
        if positive is None
        else calibration(raw[:, positive], truth == positive, "platt")
    )
    if found is None:
        return layers
    *rest, (weight, bias) = layers
    if positive is None:
        return [*rest, (weight / found.x[0], bias / found.x[0])]
    margin, shift = weight[positive] - weight[1 - positive], bias[positive] - bias[1 - positive]
    scaled, shifted = np.zeros_like(weight), np.zeros_like(bias)
    scaled[positive], shifted[positive] = found.x[0] * margin, found.x[0] * shift + found.y[0]
    return [*rest, (scaled, shifted)]


def _logits(layers: Layers, inputs: Floats) -> npt.NDArray[np.float64]:
    out = inputs.astype(np.float64)
    for number, (weight, bias) in enumerate(layers):
        out = (np.maximum(out, 0) if number else out) @ weight.T + bias
    return out


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
