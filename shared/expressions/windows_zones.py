"""The names Windows gives to time zones, what they are called to people, and the IANA zone of each.

After the table of the Unicode CLDR (``supplemental/windowsZones.xml``, territory 001).
Source: docs/expressions.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowsZone:
    """A time zone. id: as Windows calls it. name: places in it, and its usual distance from UTC. iana: its zone."""

    id: str
    name: str
    iana: str


_ROWS = """
AUS Central Standard Time;Darwin;+09:30;Australia/Darwin
AUS Eastern Standard Time;Canberra, Melbourne, Sydney;+10:00;Australia/Sydney
Afghanistan Standard Time;Kabul;+04:30;Asia/Kabul
Alaskan Standard Time;Alaska;-09:00;America/Anchorage
Aleutian Standard Time;Aleutian Islands;-10:00;America/Adak
Altai Standard Time;Barnaul, Gorno-Altaysk;+07:00;Asia/Barnaul
Arab Standard Time;Kuwait, Riyadh;+03:00;Asia/Riyadh
Arabian Standard Time;Abu Dhabi, Muscat;+04:00;Asia/Dubai
Arabic Standard Time;Baghdad;+03:00;Asia/Baghdad
Argentina Standard Time;City of Buenos Aires;-03:00;America/Argentina/Buenos_Aires
Astrakhan Standard Time;Astrakhan, Ulyanovsk;+04:00;Europe/Astrakhan
Atlantic Standard Time;Atlantic Time (Canada);-04:00;America/Halifax
Aus Central W. Standard Time;Eucla;+08:45;Australia/Eucla
Azerbaijan Standard Time;Baku;+04:00;Asia/Baku
Azores Standard Time;Azores;-01:00;Atlantic/Azores
Bahia Standard Time;Salvador;-03:00;America/Bahia
Bangladesh Standard Time;Dhaka;+06:00;Asia/Dhaka
Belarus Standard Time;Minsk;+03:00;Europe/Minsk
Bougainville Standard Time;Bougainville Island;+11:00;Pacific/Bougainville
Canada Central Standard Time;Saskatchewan;-06:00;America/Regina
Cape Verde Standard Time;Cabo Verde Is.;-01:00;Atlantic/Cape_Verde
Caucasus Standard Time;Yerevan;+04:00;Asia/Yerevan
Cen. Australia Standard Time;Adelaide;+09:30;Australia/Adelaide
Central America Standard Time;Central America;-06:00;America/Guatemala
Central Asia Standard Time;Bishkek;+06:00;Asia/Bishkek
Central Brazilian Standard Time;Cuiaba;-04:00;America/Cuiaba
Central Europe Standard Time;Belgrade, Bratislava, Budapest, Ljubljana, Prague;+01:00;Europe/Budapest
Central European Standard Time;Sarajevo, Skopje, Warsaw, Zagreb;+01:00;Europe/Warsaw
Central Pacific Standard Time;Solomon Is., New Caledonia;+11:00;Pacific/Guadalcanal
Central Standard Time;Central Time (US & Canada);-06:00;America/Chicago
Central Standard Time (Mexico);Guadalajara, Mexico City, Monterrey;-06:00;America/Mexico_City
Chatham Islands Standard Time;Chatham Islands;+12:45;Pacific/Chatham
China Standard Time;Beijing, Chongqing, Hong Kong, Urumqi;+08:00;Asia/Shanghai
Cuba Standard Time;Havana;-05:00;America/Havana
Dateline Standard Time;International Date Line West;-12:00;Etc/GMT+12
E. Africa Standard Time;Nairobi;+03:00;Africa/Nairobi
E. Australia Standard Time;Brisbane;+10:00;Australia/Brisbane
E. Europe Standard Time;Chisinau;+02:00;Europe/Chisinau
E. South America Standard Time;Brasilia;-03:00;America/Sao_Paulo
Easter Island Standard Time;Easter Island;-06:00;Pacific/Easter
Eastern Standard Time;Eastern Time (US & Canada);-05:00;America/New_York
Eastern Standard Time (Mexico);Chetumal;-05:00;America/Cancun
Egypt Standard Time;Cairo;+02:00;Africa/Cairo
Ekaterinburg Standard Time;Ekaterinburg;+05:00;Asia/Yekaterinburg
FLE Standard Time;Helsinki, Kyiv, Riga, Sofia, Tallinn, Vilnius;+02:00;Europe/Kyiv
Fiji Standard Time;Fiji;+12:00;Pacific/Fiji
GMT Standard Time;Dublin, Edinburgh, Lisbon, London;+00:00;Europe/London
GTB Standard Time;Athens, Bucharest;+02:00;Europe/Bucharest
Georgian Standard Time;Tbilisi;+04:00;Asia/Tbilisi
Greenland Standard Time;Greenland;-02:00;America/Nuuk
Greenwich Standard Time;Monrovia, Reykjavik;+00:00;Atlantic/Reykjavik
Haiti Standard Time;Haiti;-05:00;America/Port-au-Prince
Hawaiian Standard Time;Hawaii;-10:00;Pacific/Honolulu
India Standard Time;Chennai, Kolkata, Mumbai, New Delhi;+05:30;Asia/Kolkata
Iran Standard Time;Tehran;+03:30;Asia/Tehran
Israel Standard Time;Jerusalem;+02:00;Asia/Jerusalem
Jordan Standard Time;Amman;+03:00;Asia/Amman
Kaliningrad Standard Time;Kaliningrad;+02:00;Europe/Kaliningrad
Korea Standard Time;Seoul;+09:00;Asia/Seoul
Libya Standard Time;Tripoli;+02:00;Africa/Tripoli
Line Islands Standard Time;Kiritimati Island;+14:00;Pacific/Kiritimati
Lord Howe Standard Time;Lord Howe Island;+10:30;Australia/Lord_Howe
Magadan Standard Time;Magadan;+11:00;Asia/Magadan
Magallanes Standard Time;Punta Arenas;-03:00;America/Punta_Arenas
Marquesas Standard Time;Marquesas Islands;-09:30;Pacific/Marquesas
Mauritius Standard Time;Port Louis;+04:00;Indian/Mauritius
Middle East Standard Time;Beirut;+02:00;Asia/Beirut
Montevideo Standard Time;Montevideo;-03:00;America/Montevideo
Morocco Standard Time;Casablanca;+01:00;Africa/Casablanca
Mountain Standard Time;Mountain Time (US & Canada);-07:00;America/Denver
Mountain Standard Time (Mexico);La Paz, Mazatlan;-07:00;America/Mazatlan
Myanmar Standard Time;Yangon (Rangoon);+06:30;Asia/Yangon
N. Central Asia Standard Time;Novosibirsk;+07:00;Asia/Novosibirsk
Namibia Standard Time;Windhoek;+02:00;Africa/Windhoek
Nepal Standard Time;Kathmandu;+05:45;Asia/Kathmandu
New Zealand Standard Time;Auckland, Wellington;+12:00;Pacific/Auckland
Newfoundland Standard Time;Newfoundland;-03:30;America/St_Johns
Norfolk Standard Time;Norfolk Island;+11:00;Pacific/Norfolk
North Asia East Standard Time;Irkutsk;+08:00;Asia/Irkutsk
North Asia Standard Time;Krasnoyarsk;+07:00;Asia/Krasnoyarsk
North Korea Standard Time;Pyongyang;+09:00;Asia/Pyongyang
Omsk Standard Time;Omsk;+06:00;Asia/Omsk
Pacific SA Standard Time;Santiago;-04:00;America/Santiago
Pacific Standard Time;Pacific Time (US & Canada);-08:00;America/Los_Angeles
Pacific Standard Time (Mexico);Baja California;-08:00;America/Tijuana
Pakistan Standard Time;Islamabad, Karachi;+05:00;Asia/Karachi
Paraguay Standard Time;Asuncion;-03:00;America/Asuncion
Qyzylorda Standard Time;Qyzylorda;+05:00;Asia/Qyzylorda
Romance Standard Time;Brussels, Copenhagen, Madrid, Paris;+01:00;Europe/Paris
Russia Time Zone 10;Chokurdakh;+11:00;Asia/Srednekolymsk
Russia Time Zone 11;Anadyr, Petropavlovsk-Kamchatsky;+12:00;Asia/Kamchatka
Russia Time Zone 3;Izhevsk, Samara;+04:00;Europe/Samara
Russian Standard Time;Moscow, St. Petersburg;+03:00;Europe/Moscow
SA Eastern Standard Time;Cayenne, Fortaleza;-03:00;America/Cayenne
SA Pacific Standard Time;Bogota, Lima, Quito, Rio Branco;-05:00;America/Bogota
SA Western Standard Time;Georgetown, La Paz, Manaus, San Juan;-04:00;America/La_Paz
SE Asia Standard Time;Bangkok, Hanoi, Jakarta;+07:00;Asia/Bangkok
Saint Pierre Standard Time;Saint Pierre and Miquelon;-03:00;America/Miquelon
Sakhalin Standard Time;Sakhalin;+11:00;Asia/Sakhalin
Samoa Standard Time;Samoa;+13:00;Pacific/Apia
Sao Tome Standard Time;Sao Tome;+00:00;Africa/Sao_Tome
Saratov Standard Time;Saratov;+04:00;Europe/Saratov
Singapore Standard Time;Kuala Lumpur, Singapore;+08:00;Asia/Singapore
South Africa Standard Time;Harare, Pretoria;+02:00;Africa/Johannesburg
South Sudan Standard Time;Juba;+02:00;Africa/Juba
Sri Lanka Standard Time;Sri Jayawardenepura;+05:30;Asia/Colombo
Sudan Standard Time;Khartoum;+02:00;Africa/Khartoum
Syria Standard Time;Damascus;+03:00;Asia/Damascus
Taipei Standard Time;Taipei;+08:00;Asia/Taipei
Tasmania Standard Time;Hobart;+10:00;Australia/Hobart
Tocantins Standard Time;Araguaina;-03:00;America/Araguaina
Tokyo Standard Time;Osaka, Sapporo, Tokyo;+09:00;Asia/Tokyo
Tomsk Standard Time;Tomsk;+07:00;Asia/Tomsk
Tonga Standard Time;Nuku'alofa;+13:00;Pacific/Tongatapu
Transbaikal Standard Time;Chita;+09:00;Asia/Chita
Turkey Standard Time;Istanbul;+03:00;Europe/Istanbul
Turks And Caicos Standard Time;Turks and Caicos;-05:00;America/Grand_Turk
US Eastern Standard Time;Indiana (East);-05:00;America/Indiana/Indianapolis
US Mountain Standard Time;Arizona;-07:00;America/Phoenix
UTC;Coordinated Universal Time;;Etc/UTC
UTC+12;Coordinated Universal Time+12;+12:00;Etc/GMT-12
UTC+13;Coordinated Universal Time+13;+13:00;Etc/GMT-13
UTC-02;Coordinated Universal Time-02;-02:00;Etc/GMT+2
UTC-08;Coordinated Universal Time-08;-08:00;Etc/GMT+8
UTC-09;Coordinated Universal Time-09;-09:00;Etc/GMT+9
UTC-11;Coordinated Universal Time-11;-11:00;Etc/GMT+11
Ulaanbaatar Standard Time;Ulaanbaatar;+08:00;Asia/Ulaanbaatar
Venezuela Standard Time;Caracas;-04:00;America/Caracas
Vladivostok Standard Time;Vladivostok;+10:00;Asia/Vladivostok
Volgograd Standard Time;Volgograd;+03:00;Europe/Volgograd
W. Australia Standard Time;Perth;+08:00;Australia/Perth
W. Central Africa Standard Time;West Central Africa;+01:00;Africa/Lagos
W. Europe Standard Time;Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna;+01:00;Europe/Berlin
W. Mongolia Standard Time;Hovd;+07:00;Asia/Hovd
West Asia Standard Time;Ashgabat, Tashkent;+05:00;Asia/Tashkent
West Bank Standard Time;Gaza, Hebron;+02:00;Asia/Hebron
West Pacific Standard Time;Guam, Port Moresby;+10:00;Pacific/Port_Moresby
Yakutsk Standard Time;Yakutsk;+09:00;Asia/Yakutsk
Yukon Standard Time;Yukon;-07:00;America/Whitehorse
"""


def _zone(row: str) -> WindowsZone:
    name, places, distance, iana = row.split(";")
    return WindowsZone(name, f"{places} (UTC{distance})", iana)


WINDOWS_ZONES = tuple(_zone(row) for row in _ROWS.strip().splitlines())
"""All of them, by id."""

IANA_OF = {zone.id: zone.iana for zone in WINDOWS_ZONES}
"""The IANA zone of each id."""
