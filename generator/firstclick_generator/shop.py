"""The shop: a stream of its visitors' clicks and purchases."""

from collections.abc import Iterator, Sequence
from random import Random

from firstclick_generator import behaviour
from firstclick_generator.behaviour import NOT_ADVERTISED, PAYMENT_METHODS, SOURCES
from firstclick_generator.catalogue import CATEGORIES
from firstclick_generator.customers import Recent, divide
from firstclick_generator.draws import equally, seconds, weighted
from firstclick_generator.events import Click, Event, Purchase, time_text, uuid7
from firstclick_generator.reference import Product, User
from firstclick_generator.schedule import schedule


class Shop:
    """A shop with its customers, whose behaviour depends on the seed only.

    Visitors arrive from an advertisement or by themselves and continue to click. Some
    fill a basket, which they pay for seconds to minutes later. App customers buy
    without a click.

    Nothing is planned ahead: the shop draws who continues and who buys from its recent
    visitors. So the rate is right from the first second on, and memory doesn't grow
    with it.
    """

    def __init__(
        self, seed: int, users: Sequence[User], products: Sequence[Product]
    ) -> None:
        self._random = random = Random(f"shop {seed}")
        clicking, buying_by_app = divide(random, users)
        self._arriving = equally(random, clicking)
        self._buying_by_app = equally(random, buying_by_app)
        self._product = weighted(random, _popularity(random, products))
        self._prices = {
            product.product_id: float(product.price) for product in products
        }
        self._source = weighted(
            random, {name: source.visitors for name, source in SOURCES.items()}
        )
        self._method = weighted(
            random, {name: method.share for name, method in PAYMENT_METHODS.items()}
        )
        self._reasons = {
            name: weighted(random, method.reasons)
            for name, method in PAYMENT_METHODS.items()
        }
        self._quantity = weighted(random, behaviour.QUANTITIES)
        self._discount = weighted(random, behaviour.DISCOUNTS)
        self._shipping_cost = weighted(random, behaviour.SHIPPING_COSTS)
        self._browsing_time = seconds(random, median=20, spread=1)
        self._deciding_time = seconds(random, median=60, spread=1)
        self._visitors = Recent()
        self._baskets = Recent()

    def events(
        self, start: float, end: float, rate: float, *, rate_at: float | None = None
    ) -> Iterator[tuple[int, Event]]:
        """Yield the events from start to end, each with its time, in order.

        `start` and `end` are seconds since 1970 (`end` may be infinite); the times
        yielded are milliseconds. `rate` is in events per second at the time `rate_at`
        (by default `start`) and follows the time of day from there. Ids are unique
        across shops and calls, because their random bits depend on the seed, the start
        and the rate.
        """
        random = self._random.random
        id_bits = Random(f"{self._random.getrandbits(64)} {start} {rate}").getrandbits
        for now in schedule(
            self._random, start, end, rate, start if rate_at is None else rate_at
        ):
            if random() < behaviour.PURCHASE_SHARE:
                yield now, self._purchase(now, uuid7(now, id_bits(74)))
            else:
                yield now, self._click(now, uuid7(now, id_bits(74)))

    def _click(self, now: int, click_id: str) -> Click:
        random = self._random.random
        customer = None
        if random() >= behaviour.ARRIVALS:
            customer = self._visitors.draw(now, self._browsing_time())
        arrives = customer is None
        if customer is None:
            customer = self._arriving()
        if arrives or random() >= behaviour.ON_SITE:
            usual = customer.faithful or random() < behaviour.USUAL_SOURCE
            source = customer.usual_source if usual else self._source()
        else:
            source = NOT_ADVERTISED
        self._visitors.add(customer, now)
        if random() < SOURCES[customer.usual_source].conversion:
            self._baskets.add(customer, now)
        on_product = not arrives or random() < SOURCES[source].lands_on_product
        moves = random() < behaviour.ON_THE_MOVE
        return Click(
            click_id,
            customer.user_id,
            time_text(now),
            "Product" if on_product else "Homepage",
            source,
            customer.mobile_ip if moves else customer.home_ip,
        )

    def _purchase(self, now: int, purchase_id: str) -> Purchase:
        random = self._random.random
        customer = None
        if random() >= behaviour.APP_PURCHASES:
            customer = self._baskets.draw(now, self._deciding_time())
        if customer is None:
            customer = self._buying_by_app()
        product = self._product()
        if random() < SOURCES[customer.usual_source].dearer:
            product = max(product, self._product(), key=self._prices.__getitem__)
        quantity = self._quantity()
        discount = self._discount()
        shipping_cost = self._shipping_cost()
        method = self._method()
        failed = random() < PAYMENT_METHODS[method].failures
        return Purchase(
            purchase_id,
            customer.user_id,
            product,
            quantity,
            discount,
            shipping_cost,
            self._claim(self._prices[product] * quantity, discount, shipping_cost),
            method,
            "failure" if failed else "success",
            self._reasons[method]() if failed else "none",
            time_text(now),
        )

    def _claim(self, goods: float, discount: float, shipping_cost: float) -> float:
        """Return the total that this shop claims, which is sometimes wrong.

        It may ignore the discount or the shipping cost, or add a surcharge of 8 %.
        """
        mistake = self._random.random()
        if mistake < 0.1:
            discount = 0.0
        elif mistake < 0.2:
            shipping_cost = 0.0
        elif mistake < 0.25:
            goods *= 1.08
        return round(goods * (1 - discount) + shipping_cost, 2)


def _popularity(random: Random, products: Sequence[Product]) -> dict[str, float]:
    return {
        product.product_id: random.lognormvariate(0, 0.8)
        * (CATEGORIES[product.category].demand if product.category in CATEGORIES else 1)
        for product in products
    }
