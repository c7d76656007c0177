"""The compression ratio: what it is a ratio of, and that no neighbour's content enters the context."""

from __future__ import annotations

import numpy as np
import zstandard

from winnow.filters.languages import language_pack
from winnow.filters.rules.diversity import COMPRESSION_GROUP, LEVEL
from winnow.filters.rules.table import Texts


def ratios(*texts):
    offsets = np.concatenate([[0], np.cumsum([len(text.encode()) for text in texts])]).astype(np.int64)
    column = Texts(offsets, np.frombuffer("".join(texts).encode(), np.uint8), language_pack("ko"), "whitespace")
    return column.records(COMPRESSION_GROUP)["compression_ratio"]


PROSE = (
    "문서는 저마다 다른 이야기를 하고, 그 가운데 되풀이되는 말은 많지 않다. 그래서 압축해도 크기가 많이 줄지 않는다. "
)


def test_is_compressed_bytes_per_byte_of_a_frame_of_its_own():
    texts = [PROSE, PROSE, "abc" * 900, ""]
    for text, ratio in zip(texts, ratios(*texts), strict=True):
        frame = zstandard.ZstdCompressor(level=LEVEL, write_content_size=False).compress(text.encode())
        assert ratio == (len(frame) / len(text.encode()) if text else 0)
        assert zstandard.ZstdDecompressor().decompress(frame, max_output_size=1 << 20).decode() == text


def test_repetition_is_low_and_noise_is_high():
    noise = "".join(map(chr, np.random.default_rng(0).integers(0xAC00, 0xD7A4, 2000)))
    repeated, random = ratios(PROSE * 40, noise)
    assert repeated < 0.05
    assert np.log2(0xD7A4 - 0xAC00) / 24 < random < 1


def test_one_context_forgets_every_text_before():
    texts = [PROSE[i % 30 :] for i in range(3000)]
    assert np.array_equal(ratios(*texts)[::-1], ratios(*texts[::-1]))
