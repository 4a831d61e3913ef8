"""How long things are, as the project's variables say it, in seconds.

The same as the macro ``seconds_of`` makes of them.
"""

import re
from functools import cache
from pathlib import Path

import yaml

from firstclick.core.errors import SettingsError
from firstclick.core.project import PROJECT

_HOUR = 3600
_WRITTEN = re.compile(r"([1-9][0-9]{0,9}) (second|minute|hour|day)s?")
_SECONDS = {"second": 1, "minute": 60, "hour": _HOUR, "day": 24 * _HOUR}
_LONGEST = 36_500 * _SECONDS["day"]


@cache
def seconds_of(variable: str, project: Path = PROJECT) -> int:
    """Read a variable of the project's dbt_project.yml, such as ``36 hours``.

    Raises SettingsError.
    """
    file = project / "dbt_project.yml"
    text = str(yaml.safe_load(file.read_text())["vars"][variable])
    parts = _WRITTEN.fullmatch(text)
    seconds = int(parts[1]) * _SECONDS[parts[2]] if parts is not None else 0
    if not 0 < seconds <= _LONGEST:
        raise SettingsError(
            f"the variable {variable} in {file} is {text!r}, expected a whole number "
            "of seconds, minutes, hours or days, of at most 36500 days, as in "
            "'10 minutes', '36 hours' or '30 days'"
        )
    return seconds


def hours_of_messages(project: Path = PROJECT) -> int:
    """For how long Kafka has to keep a message, so that all can be read again.

    That is as long as the models keep purchases, and clicks a window longer, by their
    own times: they may be younger than Kafka says, by minutes. Raises SettingsError.
    """
    seconds = seconds_of("retention", project)
    seconds += seconds_of("attribution_window", project)
    return 1 - -seconds // _HOUR
