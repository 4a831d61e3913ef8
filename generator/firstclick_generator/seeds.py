"""Write the reference data: `python -m firstclick_generator.seeds [DIRECTORY]`.

For clones only: a wheel has what this wrote, and not Faker.
"""

import sys
from datetime import date
from itertools import product as pairs
from pathlib import Path
from random import Random

from faker import Faker

from firstclick_generator.catalogue import CATEGORIES
from firstclick_generator.reference import SEEDS, Product, User, write_rows

SEED = 20261123
USERS = 2000
PRODUCTS_PER_CATEGORY = 50
ENDINGS = (0.49, 0.90, 0.95, 0.99)
"""The cents of prices."""


def write_seeds(directory: Path = SEEDS) -> None:
    """Write users.csv (2,000 rows) and products.csv (500), the same each time.

    Creates the directory if it is missing, and replaces existing files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_rows(directory / "users.csv", User, _users())
    write_rows(directory / "products.csv", Product, _products())


def _users() -> list[User]:
    fake = Faker("en_US")
    fake.seed_instance(SEED)
    random = Random(SEED)
    genders = random.choices(("Female", "Male", "Other"), (49, 48, 3), k=USERS)
    return [_user(fake, number, gender) for number, gender in enumerate(genders, 1)]


def _user(fake: Faker, number: int, gender: str) -> User:
    first_name = {
        "Female": fake.first_name_female,
        "Male": fake.first_name_male,
        "Other": fake.first_name_nonbinary,
    }[gender]()
    last_name = fake.last_name()
    return User(
        user_id=f"U{number:05}",
        name=f"{first_name} {last_name}",
        email=f"{first_name}.{last_name}{number}@example.com".lower(),
        gender=gender,
        birth_day=_day(fake, date(1945, 1, 1), date(2008, 12, 31)),
        location=f"{fake.city()}, {fake.state_abbr(include_territories=False)}",
        phone=fake.numerify("+1-%##-555-01##"),
        registration_date=_day(fake, date(2019, 1, 1), date(2026, 6, 30)),
    )


def _day(fake: Faker, first: date, last: date) -> str:
    day: date = fake.date_between_dates(first, last)
    return day.isoformat()


def _products() -> list[Product]:
    random = Random(SEED)
    products: list[Product] = []
    for name, category in CATEGORIES.items():
        titles = list(pairs(category.brands, category.styles, category.articles))
        for brand, style, article in random.sample(titles, PRODUCTS_PER_CATEGORY):
            typical = category.articles[article]
            price = int(typical * random.uniform(0.6, 1.6)) + random.choice(ENDINGS)
            rate = random.uniform(*category.commission_rates)
            products.append(
                Product(
                    product_id=f"P{len(products) + 1:04}",
                    product_name=f"{brand} {style} {article}",
                    category=name,
                    brand=brand,
                    price=f"{price:.2f}",
                    commission_rate=f"{rate:.3f}",
                )
            )
    return products


if __name__ == "__main__":
    write_seeds(*map(Path, sys.argv[1:2]))
