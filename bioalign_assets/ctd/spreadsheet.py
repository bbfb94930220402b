"""What spreadsheets make of gene symbols: SEPT2 becomes ``2-Sep``, the RIKEN clone 2310009E19 ``2.31E+19``.

Which form a date gets depends on the program, on its language and on what a person does with the column later. So
the forms are told by what no gene's symbol looks like, in the languages of ``_MONTHS`` and in Chinese, Japanese and
Korean. (Ziemann,
Eren & El-Osta 2016, doi:10.1186/s13059-016-1044-7, found such symbols in a fifth of the papers they looked at.)
"""

__all__ = ["DATES", "NUMBERS", "POSSIBLE_DATES"]

# As CLDR abbreviates them, without those of an earlier line: English, German, French, Spanish, Italian, Portuguese,
# Dutch, Swedish, Norwegian, Finnish, Polish, Czech, Slovak, Hungarian, Romanian, Croatian, Slovene, Estonian, Latvian,
# Lithuanian, Turkish, Indonesian, Russian, Ukrainian, Bulgarian, Serbian, Greek
_MONTHS = """
jan feb mar apr may jun jul aug sep sept oct nov dec
dez juli juni mai mrz mär märz okt
août avr déc févr fév janv juil juin mars
abr ago dic ene
gen giu lug mag ott set
fev out
mei mrt
maj
des
elo heinä helmi huhti joulu kesä loka maalis marras syys tammi touko
cze gru kwi lip lis lut paź sie sty wrz
bře dub kvě led pro srp zář úno čvc čvn říj
júl jún máj
febr márc szept ápr
ian iul iun
kol ožu ruj sij stu svi tra velj
avg
dets jaan juuli juuni märts veebr
jūl jūn maijs marts
bal birž geg gruod kov lapkr liep rugp rugs saus spal vas
ara ağu eki eyl haz kas nis oca tem şub
agu
авг апр дек июл июн май мар мая нояб окт сен сент фев февр янв
бер вер груд жовт квіт лип лист лют серп січ трав черв
ное сеп юли юни яну
дец мај нов феб јан јул јун
απρ αυγ αύγ δεκ ιαν ιουλ ιουν ιούλ ιούν μάι μάρ μαΐ μαρ νοέ νοε οκτ σεπ φεβ
""".split()  # noqa: SIM905 - one literal each would be two hundred lines
_MONTH = f"(?:{'|'.join(_MONTHS)})"
_WORD = rf"{_MONTH}\p{{L}}{{0,9}}\.?"  # written out, or in a case of its language: September, września
_WEEKDAY = r"(?:\p{L}{2,12}\.?,? )?"
_DAY = "[0-9]{1,2}(?:st|nd|rd|th|º|er)?"
_TITLED = f"(?:{'|'.join(month.capitalize() for month in _MONTHS)})"
_ENGLISH = "jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec"
_IN_ENGLISH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
_TIME = r"(?:,? [0-9]{1,2}:[0-9]{2}.*)?"
# those after which worms have no genes with a number of two digits: they have avr-15 and set-24
_NO_GENES = (
    r"mrz|mär|okt|dez|déc|août|janv|févr|fév|juil|abr|ene|giu|lug|ott|fev|mrt|maj|des|wrz|paź|sty|lut|kwi|cze|sie"
    r"|gru|szept"
)  # fmt: skip

DATES = "|".join(
    (
        # 2-Sep, 2. September 2024, 02/sept./24, 2 de septiembre
        rf"(?i:{_WEEKDAY}{_DAY}\.?[-/. ]{{1,2}}(?:de )?{_WORD}(?:[-/., ]{{1,2}}(?:de )?[0-9]{{2,4}})?(?: г\.)?{_TIME})",
        rf"(?i:[0-9]{{4}}[-/. ]{{1,2}}{_WORD}[-/. ]{{1,2}}{_DAY})",  # 2024-Sep-02
        rf"(?i:[0-9]{{1,2}}{_MONTH}[0-9]{{4}}|[0-9]{{1,2}}{_MONTH}[0-9]{{2}}(?::.*)?)",  # 02SEP2024
        # Sep-02, SEP-2024, Sep. 2, Sep '24, sept.-02: worms have genes SEP-1 and SET-2, but none with a zero in front
        rf"(?i:{_WEEKDAY}{_MONTH}\p{{L}}{{0,9}}(?:-0[0-9]|-[0-9]{{4}}|\.-[0-9]{{1,4}}|\.?(?: |/| ?'|’)[0-9]{{1,4}}))",
        rf"{_TITLED}-[0-9]{{2}}|(?:{_IN_ENGLISH})-[0-9]",
        rf"(?i:{_WEEKDAY}{_WORD}[-/. ]{{1,2}}{_DAY},?[-/ ]{{1,2}}[0-9]{{2,4}})",
        r"[0-9]{4}[-/.][0-9]{1,2}(?:[-/.][0-9]{1,2}(?:[ T].*)?)?",  # 2024-09-02, with or without a time
        r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{2}|[0-9]{4})(?: .*)?",  # 9/2/2024, 02.09.24
        r"[0-9]{1,2}/[0-9]{1,2}|[0-9]{1,2}\.[0-9]{1,2}\.|[0-9]{1,2}-[0-9]{1,2}",
        r"(?:[0-9]{2,4} ?[年년] ?)?[0-9]{1,2} ?[月월](?: ?[0-9]{1,2} ?[日일])?",
        r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?",
    )
)
"""Regular expression (RE2) of symbols that are dates; no symbol of a real release matches."""

NUMBERS = (
    r"[-+]?[0-9][0-9., ]*"  # 45537, the number that a spreadsheet keeps for a date
    r"|(?i:[-+]?[0-9][0-9.,]*[.,][0-9]+E[-+]?[0-9]+|[-+]?[0-9][0-9.,]*E[-+][0-9]+|[0-9]E[0-9]{2,3})"  # 2.31E+19
    r"|#\S*[!?]|#N/?[A-Z]+|#{3,}"  # #NAME?, #WERT!, #NV
)
"""Regular expression (RE2) of symbols that are numbers, or what a spreadsheet writes where it has none."""

POSSIBLE_DATES = rf"(?i:(?:{_ENGLISH})-[1-9][0-9]?|(?:{_NO_GENES})[-.][0-9]{{2}})"
"""Regular expression (RE2) of symbols that are a date, or a gene of a worm: SEP-1, JUN-1."""
