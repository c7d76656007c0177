"""Invented personal data put into a document, with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, replace

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.texts import Text, chrome

FORMS = (
    "행사에 관한 문의는 담당자 {name}({phone})에게 하거나 {email}로 보내면 된다.",
    "분실물을 찾으시는 분은 {name} 님에게 {phone}로 연락해 주시고, 사진은 {email}로 보내 주세요.",
    "신청자 {name}, 주민등록번호 {resident}, 연락처 {phone}로 접수된 서류는 보완이 필요하다.",
    "당첨자 {name} 님은 {email}로 배송지를 알려 주시기 바랍니다. 문의 전화는 {phone}입니다.",
)
WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in the main text: `start` and `end` are character offsets into it."""

    kind: str
    start: int
    end: int
    value: str


def resident_number(dice: Dice) -> str:
    """A string shaped like a resident registration number whose check digit is wrong, so it is nobody's."""
    digits = [
        *map(int, f"{dice.between(50, 99):02d}{dice.between(1, 12):02d}{dice.between(1, 28):02d}"),
        dice.between(1, 2),
        *(dice.below(10) for _ in range(5)),
    ]
    check = (11 - sum(weight * digit for weight, digit in zip(WEIGHTS, digits, strict=True)) % 11) % 10
    digits.append((check + dice.between(1, 9)) % 10)
    return "".join(map(str, digits[:6])) + "-" + "".join(map(str, digits[6:]))


def with_personal_data(text: Text, dice: Dice) -> tuple[Text, tuple[Span, ...]]:
    """The document with one sentence of contact details added, and where each detail stands in its body."""
    values = {
        "name": dice.pick(chrome("ko").authors),
        "phone": f"010-0000-{dice.below(10000):04d}",
        "email": f"{dice.pick(('garam', 'haneul', 'sol', 'nuri', 'daon'))}{dice.below(1000)}@example.com",
        "resident": resident_number(dice),
    }
    form = dice.pick(FORMS)
    told = replace(text, paragraphs=(*text.paragraphs, form.format(**values)))
    body = told.body
    spans = [
        Span(kind, body.rfind(value), body.rfind(value) + len(value), value)
        for kind, value in values.items()
        if "{" + kind + "}" in form
    ]
    return told, tuple(sorted(spans, key=lambda span: span.start))
