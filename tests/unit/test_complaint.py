"""The error message that `up` extracts from dbt's output when a deployment fails."""

from firstclick.deploy.embedded import complaint

BEGUN = ["22:24:03  Model checkouts begun\n"]
FAILED = [
    "22:24:04  Encountered an error:\n",
    "Database Error\n",
    "  division by zero\n",
    "  CONTEXT:  SQL function\n",
]


def test_it_names_the_model_that_was_computed() -> None:
    assert complaint(BEGUN + FAILED) == "checkouts: Database Error division by zero"


def test_it_names_none_once_all_are_computed() -> None:
    lines = [*BEGUN, "22:24:04  Models take their places\n", *FAILED]
    assert complaint(lines) == "Database Error division by zero"


def test_a_model_that_does_not_compile_names_itself() -> None:
    lines = ["22:24:04    Compilation Error in model x (models/x.sql)\n", "    why\n"]
    assert complaint(lines) == "Compilation Error in model x (models/x.sql) why"


RISINGWAVE = [
    "22:24:04    Failed to run the query\n",
    "  \n",
    "  Caused by these errors (recent errors listed first):\n",
    "    1: Failed to bind expression: s.cache_size\n",
    "    2: Item not found: Invalid column: cache_size\n",
    "22:24:04  \n",
    "22:24:04  Done. PASS=1 WARN=0 ERROR=1 SKIP=0 NO-OP=0 TOTAL=2\n",
]
CAUSES = (
    "Failed to run the query (Failed to bind expression: s.cache_size)"
    " (Item not found: Invalid column: cache_size)"
)


def test_it_has_all_causes_that_risingwave_lists() -> None:
    head = "22:24:04  Runtime Error in model x (models/x.sql)\n"
    error = "Runtime Error in model x (models/x.sql)"
    assert complaint([head, *RISINGWAVE]) == f"{error} {CAUSES}"
    encountered = ["22:24:04  Encountered an error:\n", "Database Error\n"]
    assert complaint([*encountered, *RISINGWAVE]) == f"Database Error {CAUSES}"


def test_it_is_else_the_last_words() -> None:
    assert complaint(["22:24:04  Killed\n", "\n"]) == "Killed"
    assert complaint([]) == "no reason given"
