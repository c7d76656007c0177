"""Language identification with a fastText model: lid.176 (https://fasttext.cc/docs/en/language-identification.html),
GlotLID, or any supervised model whose labels are language codes.

One name per language for what models call it: `__label__ko`, `__label__kor`, `__label__kor_Hang` are all `ko`. Codes are
ISO 639-1 where the language has one, else ISO 639-3 (https://iso639-3.sil.org/code_tables/download_tables). Individual
languages that models use for their macrolanguage, and the 639-2/B and withdrawn codes, map to the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from winnow.classifiers.artifacts import ModelError, ModelFile
from winnow.classifiers.fasttext_file import check_once
from winnow.nearest import nearest

_ISO_639_1 = """
aar aa abk ab afr af aka ak amh am ara ar arg an asm as ava av ave ae aym ay aze az bak ba bam bm bel be ben bn
bih bh bis bi bod bo bos bs bre br bul bg cat ca ces cs cha ch che ce chu cu chv cv cor kw cos co cre cr cym cy
dan da deu de div dv dzo dz ell el eng en epo eo est et eus eu ewe ee fao fo fas fa fij fj fin fi fra fr fry fy
ful ff gla gd gle ga glg gl glv gv grn gn guj gu hat ht hau ha hbs sh heb he her hz hin hi hmo ho hrv hr hun hu
hye hy ibo ig ido io iii ii iku iu ile ie ina ia ind id ipk ik isl is ita it jav jv jpn ja kal kl kan kn kas ks
kat ka kau kr kaz kk khm km kik ki kin rw kir ky kom kv kon kg kor ko kua kj kur ku lao lo lat la lav lv lim li
lin ln lit lt ltz lb lub lu lug lg mah mh mal ml mar mr mkd mk mlg mg mlt mt mon mn mri mi msa ms mya my nau na
nav nv nbl nr nde nd ndo ng nep ne nld nl nno nn nob no nor no nya ny oci oc oji oj ori or orm om oss os pan pa
pli pi pol pl por pt pus ps que qu roh rm ron ro run rn rus ru sag sg san sa sin si slk sk slv sl sme se smo sm
sna sn snd sd som so sot st spa es sqi sq srd sc srp sr ssw ss sun su swa sw swe sv tah ty tam ta tat tt tel te
tgk tg tgl tl tha th tir ti ton to tsn tn tso ts tuk tk tur tr twi tw uig ug ukr uk urd ur uzb uz ven ve vie vi
vol vo wln wa wol wo xho xh yid yi yor yo zha za zho zh zul zu
"""
_INDIVIDUAL = """
cmn zh arb ar ekk et pes fa swh sw zsm ms zlm ms lvs lv ory or npi ne uzn uz khk mn azj az plt mg gaz om ydd yi
pbt ps pbu ps quy qu kmr ku ayr ay gug gn knc kr fil tl cos co
"""
_OTHER_NAMES = """
alb sq arm hy baq eu bur my chi zh cze cs dut nl fre fr geo ka ger de gre el ice is mac mk mao mi may ms per fa
rum ro slo sk tib bo wel cy iw he in id ji yi mo ro jw jv nb no
"""
_NAMES = """
aa afar ab abkhazian ae avestan af afrikaans ak akan am amharic an aragonese ar arabic as assamese av avaric ay
aymara az azerbaijani ba bashkir be belarusian bg bulgarian bi bislama bm bambara bn bengali bo tibetan br breton
bs bosnian ca catalan ce chechen ch chamorro co corsican cr cree cs czech cu church-slavic cv chuvash cy welsh da
danish de german dv divehi dz dzongkha ee ewe el greek en english eo esperanto es spanish et estonian eu basque fa
persian fa farsi ff fula fi finnish fj fijian fo faroese fr french fy western-frisian ga irish gd scottish-gaelic
gl galician gn guarani gu gujarati gv manx ha hausa he hebrew hi hindi ho hiri-motu hr croatian ht haitian-creole
hu hungarian hy armenian hz herero ia interlingua id indonesian ie interlingue ig igbo ii sichuan-yi ik inupiaq io
ido is icelandic it italian iu inuktitut ja japanese jv javanese ka georgian kg kongo ki kikuyu kj kuanyama kk
kazakh kl kalaallisut km khmer kn kannada ko korean kr kanuri ks kashmiri ku kurdish kv komi kw cornish ky kyrgyz
la latin lb luxembourgish lg ganda li limburgish ln lingala lo lao lt lithuanian lu luba-katanga lv latvian mg
malagasy mh marshallese mi māori mk macedonian ml malayalam mn mongolian mr marathi ms malay mt maltese my burmese
na nauru nd north-ndebele ne nepali ng ndonga nl dutch nn norwegian-nynorsk no norwegian nr south-ndebele nv navajo
ny nyanja oc occitan oj ojibwa om oromo or odia os ossetic pa punjabi pi pali pl polish ps pashto pt portuguese qu
quechua rm romansh rn rundi ro romanian ru russian rw kinyarwanda sa sanskrit sc sardinian sd sindhi se
northern-sami sg sango sh serbo-croatian si sinhala sk slovak sl slovenian sm samoan sn shona so somali sq albanian
sr serbian ss swati st southern-sotho su sundanese sv swedish sw swahili ta tamil te telugu tg tajik th thai ti
tigrinya tk turkmen tl tagalog tn tswana to tongan tr turkish ts tsonga tt tatar tw twi ty tahitian ug uyghur uk
ukrainian ur urdu uz uzbek ve venda vi vietnamese vo volapük wa walloon wo wolof xh xhosa yi yiddish yo yoruba za
zhuang zh chinese zu zulu
"""


def _pairs(table: str) -> dict[str, str]:
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


CODES: dict[str, str] = _pairs(_ISO_639_1) | _pairs(_INDIVIDUAL) | _pairs(_OTHER_NAMES)


LANGUAGE_NAMES: dict[str, str] = {
    name: code for code, name in zip(_NAMES.split()[::2], _NAMES.split()[1::2], strict=True)
}
"""English name, as Unicode's CLDR has it, in small letters with hyphens -> code, of languages of ISO 639-1."""


@cache
def language_code(label: str) -> str:
    """The one name for a model's label or a user's code. A code that has no other name stays as it is."""
    name, *rest = re.split(r"[_-]", label.removeprefix("__label__").strip().lower())
    if name == "als":
        # ISO 639-3's Tosk Albanian, which models write with its script; the bare code is Wikipedia's Alemannic.
        return "sq" if rest else "gsw"
    return CODES.get(name, name)


def code_of_name(name: str) -> str | None:
    """The code of the language whose English name this is, or nearly is; None for what is near no name."""
    wanted = "-".join(name.lower().split())
    near = nearest(wanted, LANGUAGE_NAMES, 0.7)
    return LANGUAGE_NAMES[near] if near else None


UNDETERMINED = "und"
"""ISO 639-3 code for a text without anything to tell a language by."""


class LanguageIdentifier:
    """A loaded model. Top-1 only: full label lists cost as much again."""

    def __init__(self, file: ModelFile) -> None:
        from fasttext.FastText import _FastText

        check_once(file.path, file.digest)
        try:
            # load_model() would do the same and print a warning.
            self._model: Any = _FastText(model_path=str(file.path))
            self._labels = [language_code(label) for label in self._model.get_labels()]
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ModelError(f"model '{file.name}' ({file.path}) is no fastText model: {error}") from error

    def languages(self) -> set[str]:
        """Every code that `predict` can give."""
        return {*self._labels, UNDETERMINED}

    def predict(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Code and probability of the likeliest language of each text; `und` and 0 for one without content.
        Texts must hold no newline."""
        labels, scores = self._model.f.multilinePredict([f"{text}\n" for text in texts], 1, 0.0, "strict")
        codes: list[str] = []
        values: list[float] = []
        for text, names, probabilities in zip(texts, labels, scores, strict=True):
            if not names or not text or text.isspace():
                codes.append(UNDETERMINED)
                values.append(0.0)
            else:
                codes.append(language_code(names[0]))
                values.append(min(float(probabilities[0]), 1.0))
        return codes, values


@lru_cache(maxsize=4)
def _load(path: Path, digest: str, name: str) -> LanguageIdentifier:
    return LanguageIdentifier(ModelFile(name, path, digest))


def identifier(file: ModelFile) -> LanguageIdentifier:
    """The loaded model, once per process for a path and content."""
    return _load(file.path, file.digest, file.name)
