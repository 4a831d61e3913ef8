"""The shop's customers, and which of them were active recently."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from firstclick_generator import behaviour
from firstclick_generator.behaviour import SOURCES
from firstclick_generator.draws import weighted
from firstclick_generator.reference import User

MOST_REMEMBERED = 32_768
"""How many customers `Recent` holds, which bounds its memory."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A user with habits, at IP addresses that belong to nobody.

    RFC 2544 reserves the IPv4 addresses for benchmarks, RFC 3849 the IPv6 addresses for
    documentation.
    """

    user_id: str
    usual_source: str
    faithful: bool
    home_ip: str
    mobile_ip: str


class Recent:
    """The customers who did something recently, drawn by how long ago that was."""

    def __init__(self) -> None:
        self._customers: list[Customer] = []
        self._times: list[int] = []
        self._next = 0

    def add(self, customer: Customer, now: int) -> None:
        """Remember a customer, and forget the oldest if there are too many."""
        if len(self._customers) < MOST_REMEMBERED:
            self._customers.append(customer)
            self._times.append(now)
            return
        self._customers[self._next] = customer
        self._times[self._next] = now
        self._next = (self._next + 1) % MOST_REMEMBERED

    def draw(self, now: int, age: float) -> Customer | None:
        """Draw a customer who was added about `age` seconds ago, if there is one.

        An age further back than the memory reaches wraps around into it.
        """
        held = len(self._customers)
        if not held:
            return None
        span = now - self._times[self._next] + 1
        back = int(age * 1000 / span * held) % held
        return self._customers[self._next - 1 - back]


def divide(
    random: Random, users: Sequence[User]
) -> tuple[list[Customer], list[Customer]]:
    """Divide users into those who click and those who buy through the app."""
    source = weighted(random, {name: kind.visitors for name, kind in SOURCES.items()})
    customers = [
        Customer(
            user.user_id,
            source(),
            random.random() < behaviour.FAITHFUL,
            f"198.{random.choice((18, 19))}.{_byte(random)}.{_byte(random)}",
            f"2001:db8:{random.getrandbits(16):x}:{random.getrandbits(16):x}::1",
        )
        for user in random.sample(users, len(users))
    ]
    app = round(len(customers) * behaviour.APP_CUSTOMERS)
    return customers[app:] or customers, customers[:app] or customers


def _byte(random: Random) -> int:
    return random.randrange(256)
