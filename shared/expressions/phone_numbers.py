"""The country of a telephone number, by the numbering plans of ITU-T E.164.

A number is looked up by its longest known prefix. Some territories share a code that only their own operators can
tell apart (Guernsey, Jersey and Man with +44, Aland with +358, Svalbard with +47, the Vatican with +39, Western Sahara
with +212, the Christmas and Cocos Islands with +61); such a number belongs to the country the code is named after.
Source: docs/expressions.md.
"""

import re
from collections.abc import Mapping

_NOT_DIGITS = re.compile(r"[\s().\-/]")
_NUMBER = re.compile(r"(?:\+|00)?([1-9][0-9]{3,16})")
_COUNTRY = re.compile(r"[A-Za-z]{2}")

# Canada's and the islands' area codes; every other number that begins with 1 is of the United States.
_CANADA = (
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474"
    " 506 514 519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879"
    " 902 905 942"
)
_AMERICAN = (
    "AG 268|AI 264|AS 684|BB 246|BM 441|BS 242|DM 767|DO 809 829 849|GD 473|GU 671|JM 658 876|KN 869|KY 345|LC 758"
    "|MP 670|MS 664|PR 787 939|SX 721|TC 649|TT 868|VC 784|VG 284|VI 340"
)
_WORLD = (
    "US 1|EG 20|SS 211|MA 212|DZ 213|TN 216|LY 218|GM 220|SN 221|MR 222|ML 223|GN 224|CI 225|BF 226|NE 227|TG 228"
    "|BJ 229|MU 230|LR 231|SL 232|GH 233|NG 234|TD 235|CF 236|CM 237|CV 238|ST 239|GQ 240|GA 241|CG 242|CD 243"
    "|AO 244|GW 245|IO 246|SC 248|SD 249|RW 250|ET 251|SO 252|DJ 253|KE 254|TZ 255|UG 256|BI 257|MZ 258|ZM 260"
    "|MG 261|RE 262|YT 262269 262639|ZW 263|NA 264|MW 265|LS 266|BW 267|SZ 268|KM 269|ZA 27|SH 290|ER 291|AW 297"
    "|FO 298|GL 299|GR 30|NL 31|BE 32|FR 33|ES 34|GI 350|PT 351|LU 352|IE 353|IS 354|AL 355|MT 356|CY 357|FI 358"
    "|BG 359|HU 36|LT 370|LV 371|EE 372|MD 373|AM 374|BY 375|AD 376|MC 377|SM 378|VA 379|UA 380|RS 381|ME 382"
    "|XK 383|HR 385|SI 386|BA 387|MK 389|IT 39|RO 40|CH 41|CZ 420|SK 421|LI 423|AT 43|GB 44|DK 45|SE 46|NO 47"
    "|PL 48|DE 49|FK 500|BZ 501|GT 502|SV 503|HN 504|NI 505|CR 506|PA 507|PM 508|HT 509|PE 51|MX 52|CU 53|AR 54"
    "|BR 55|CL 56|CO 57|VE 58|GP 590|BO 591|GY 592|EC 593|GF 594|PY 595|MQ 596|SR 597|UY 598|CW 5999|BQ 5993 5994"
    " 5997|MY 60|AU 61|ID 62|PH 63|NZ 64|SG 65|TH 66|TL 670|NF 6723|AQ 6721|BN 673|NR 674|PG 675|TO 676|SB 677"
    "|VU 678|FJ 679|PW 680|WF 681|CK 682|NU 683|WS 685|KI 686|NC 687|TV 688|PF 689|TK 690|FM 691|MH 692|RU 7"
    "|KZ 76 77|JP 81|KR 82|VN 84|KP 850|HK 852|MO 853|KH 855|LA 856|CN 86|BD 880|TW 886|TR 90|IN 91|PK 92|AF 93"
    "|LK 94|MM 95|MV 960|LB 961|JO 962|SY 963|IQ 964|KW 965|SA 966|YE 967|OM 968|PS 970|AE 971|IL 972|BH 973"
    "|QA 974|BT 975|MN 976|NP 977|IR 98|TJ 992|TM 993|AZ 994|GE 995|KG 996|UZ 998"
)


def _table() -> Mapping[str, str]:
    """Return the country of each prefix."""
    found = {f"1{area}": "CA" for area in _CANADA.split()}
    for prefix, rows in (("1", _AMERICAN), ("", _WORLD)):
        for row in rows.split("|"):
            country, *codes = row.split()
            found |= {f"{prefix}{code}": country for code in codes}
    return found


COUNTRY_OF = _table()
"""The country (ISO 3166-1, two letters) of each known prefix."""

_MAX_PREFIX_LENGTH = max(map(len, COUNTRY_OF))


def is_country_code(number: str, country: str) -> bool:
    """Return whether a number in international form belongs to a country.

    The number can begin with ``+``, ``00`` or the country's code, and contain blanks, dots, dashes and parentheses.
    The country has two letters, in any case. A text that is not such a number belongs to no country.
    """
    if not _COUNTRY.fullmatch(country):
        raise ValueError(f"isCountryCode: a country has two letters, not {country[:64]!r}")
    match = _NUMBER.fullmatch(_NOT_DIGITS.sub("", number[:64]))
    if match is None:
        return False
    prefixes = (match[1][:length] for length in range(_MAX_PREFIX_LENGTH, 0, -1))
    return next((COUNTRY_OF[prefix] for prefix in prefixes if prefix in COUNTRY_OF), None) == country.upper()
