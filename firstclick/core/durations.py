"""The durations in the dbt project's variables, in seconds.

``seconds_of`` follows the same rules as the macro of that name.
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
    """Read a duration from the variables of the project's dbt_project.yml.

    For example, ``36 hours`` is 129,600. Raises SettingsError for any other text.
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
    """Return how many hours Kafka must keep messages, so that all can be read again.

    The models keep purchases for ``retention``, and clicks for one
    ``attribution_window`` longer. They go by the events' own times, which may be some
    minutes later than Kafka's timestamps, so an hour is added. For example, 48 hours
    and 10 minutes are rounded up to 49 hours and make 50. Raises SettingsError.
    """
    seconds = seconds_of("retention", project)
    seconds += seconds_of("attribution_window", project)
    return 1 - -seconds // _HOUR
