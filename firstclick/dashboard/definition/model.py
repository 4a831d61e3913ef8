"""The part of Grafana's dashboard schema that the live page can draw.

An unknown field is an error, so that nobody can set something in the JSON that only
Grafana or only the live page shows. Names and meanings are those of Grafana's dashboard
schema 41, in snake case.
"""

from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

COLUMNS = 24
"""The width of the grid."""

Unit = Literal["none", "string", "locale", "percentunit", "s", "bytes", "dateTimeAsIso"]
"""How a number is formatted.

For example, `locale` has thousands separators, and `percentunit` is a share, where 1 is
100 %.
"""

Colour = Annotated[str, Meta(pattern="^#[0-9A-F]{6}$")]


class _Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    pass


class GridPos(_Part):
    """A panel's place and size: in columns from the left, and rows of about 38 px."""

    x: Annotated[int, Meta(ge=0, lt=COLUMNS)]
    y: Annotated[int, Meta(ge=0)]
    w: Annotated[int, Meta(ge=1, le=COLUMNS)]
    h: Annotated[int, Meta(ge=1)]


class DataSource(_Part):
    type: Literal["grafana-postgresql-datasource"]
    uid: Literal["firstclick"]


class Target(_Part):
    """A query. In a `time_series`, the text column `metric` names the series."""

    ref_id: str
    datasource: DataSource
    raw_sql: str
    format: Literal["table", "time_series"]
    raw_query: Literal[True]
    editor_mode: Literal["code"]


class Step(_Part):
    """The colour of values from `value` on; null, in the first step, is minus
    infinity.
    """

    color: Colour
    value: float | None


class Thresholds(_Part):
    mode: Literal["absolute"]
    steps: Annotated[list[Step], Meta(min_length=1)]


class Color(_Part):
    """Where a field's colour comes from.

    That is `fixed_color`, the thresholds, or the palette by the series' name.
    """

    mode: Literal["fixed", "thresholds", "palette-classic-by-name"]
    fixed_color: Colour | UnsetType = UNSET


class MappingResult(_Part):
    text: str
    index: int
    color: Colour | UnsetType = UNSET


class Mapping(_Part):
    """Texts that are shown instead of certain values."""

    type: Literal["value"]
    options: dict[str, MappingResult]


class Field(_Part, kw_only=True):
    """How a column's values are shown."""

    display_name: str | UnsetType = UNSET
    unit: Unit | UnsetType = UNSET
    decimals: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET
    color: Color | UnsetType = UNSET
    thresholds: Thresholds | UnsetType = UNSET
    mappings: list[Mapping] = []
    no_value: str | UnsetType = UNSET


class BarsCustom(_Part):
    axis_label: str
    fill_opacity: Annotated[int, Meta(ge=0, le=100)]
    line_width: int


class BarsField(Field, kw_only=True):
    custom: BarsCustom


class Stacking(_Part):
    mode: Literal["none", "normal"]
    group: Literal["A"]


class LinesCustom(_Part):
    """How lines or bars over time are drawn.

    `insert_nulls` breaks a line between points that are further apart, in ms.
    """

    draw_style: Literal["line", "bars"]
    line_interpolation: Literal["linear"]
    line_width: int
    fill_opacity: Annotated[int, Meta(ge=0, le=100)]
    show_points: Literal["auto", "never"]
    span_nulls: Literal[False]
    insert_nulls: int
    stacking: Stacking
    axis_label: str
    axis_soft_min: float


class LinesField(Field, kw_only=True):
    custom: LinesCustom


class CellOptions(_Part):
    """Shows a cell as text, as coloured text, or as a bar beside the text.

    The text's colour is that of the value.
    """

    type: Literal["auto", "color-text", "gauge"]
    mode: Literal["basic"] | UnsetType = UNSET
    value_display_mode: Literal["text"] | UnsetType = UNSET


class CellsCustom(_Part):
    """How a table's cells are shown. `width` is in px, for wide tables."""

    align: Literal["auto", "left", "right"]
    cell_options: CellOptions
    width: int | UnsetType = UNSET


class CellsField(Field, kw_only=True):
    custom: CellsCustom


class Matcher(_Part):
    id: Literal["byName"]
    options: str


class Property(_Part):
    """A property that is overridden, such as `unit` or `custom.width`."""

    id: str
    value: Any


class Override(_Part):
    matcher: Matcher
    properties: list[Property]


class FieldConfig(_Part):
    """How each column is shown. An override's matcher names a column of the query."""

    defaults: Field
    overrides: list[Override]

    def __post_init__(self) -> None:
        for override in self.overrides:
            self.of(override.matcher.options)

    def of(self, column: str) -> Any:
        """Return how a column is shown: the defaults and the overrides for its name."""
        found = msgspec.to_builtins(self.defaults)
        for override in self.overrides:
            if override.matcher.options == column:
                for change in override.properties:
                    *parents, name = change.id.split(".")
                    into = found
                    for parent in parents:
                        into = into.setdefault(parent, {})
                    into[name] = change.value
        return msgspec.convert(found, type(self.defaults))


class BarsConfig(FieldConfig):
    defaults: BarsField

    def of(self, column: str) -> BarsField:
        field: BarsField = super().of(column)
        return field


class LinesConfig(FieldConfig):
    defaults: LinesField

    def of(self, column: str) -> LinesField:
        field: LinesField = super().of(column)
        return field


class CellsConfig(FieldConfig):
    defaults: CellsField

    def of(self, column: str) -> CellsField:
        field: CellsField = super().of(column)
        return field


class ReduceOptions(_Part):
    """Which value of a column is shown: always the last one.

    `fields` is the pattern of a text column's name, between slashes; if empty, all
    numbers are shown.
    """

    calcs: tuple[Literal["lastNotNull"]]
    values: Literal[False]
    fields: str


class StatOptions(_Part):
    """`show_percent_change` compares the last value with the first one."""

    reduce_options: ReduceOptions
    color_mode: Literal["none", "value", "background"]
    graph_mode: Literal["none"]
    justify_mode: Literal["auto", "center"]
    text_mode: Literal["auto", "value", "value_and_name"]
    orientation: Literal["auto", "horizontal", "vertical"]
    wide_layout: bool
    show_percent_change: bool
    percent_change_color_mode: Literal["standard", "inverted"]


class Legend(_Part):
    show_legend: bool
    display_mode: Literal["list"]
    placement: Literal["bottom", "right"]
    calcs: tuple[()]


class Tooltip(_Part):
    mode: Literal["single", "multi"]
    sort: Literal["none", "desc"]


class BarsOptions(_Part):
    """`orientation` is the direction of the bars, not of the axis."""

    x_field: str
    orientation: Literal["horizontal", "vertical"]
    stacking: Literal["none", "normal"]
    show_value: Literal["auto", "always", "never"]
    bar_width: float
    group_width: float
    bar_radius: float
    full_highlight: Literal[False]
    x_tick_label_rotation: Literal[0]
    x_tick_label_spacing: int
    x_tick_label_max_length: int
    legend: Legend
    tooltip: Tooltip


class LinesOptions(_Part):
    legend: Legend
    tooltip: Tooltip


class Footer(_Part):
    show: Literal[False]
    reducer: tuple[()]
    count_rows: Literal[False]


class TableOptions(_Part):
    show_header: Literal[True]
    cell_height: Literal["sm"]
    footer: Footer


class Panel(_Part, tag_field="type"):
    """A panel. `description` is Markdown; `title` is never empty."""

    id: Annotated[int, Meta(ge=1)]
    title: Annotated[str, Meta(min_length=1)]
    description: Annotated[str, Meta(min_length=1)]
    grid_pos: GridPos
    datasource: DataSource
    targets: tuple[Target]
    field_config: FieldConfig

    @property
    def target(self) -> Target:
        return self.targets[0]


class Stat(Panel, tag="stat"):
    """One large number, or one word."""

    options: StatOptions


class BarChart(Panel, tag="barchart"):
    """A group of bars for each row, named by the column `x_field`."""

    field_config: BarsConfig
    options: BarsOptions


class TimeSeries(Panel, tag="timeseries"):
    """A line for each series, over the column `time`."""

    field_config: LinesConfig
    options: LinesOptions


class Table(Panel, tag="table"):
    field_config: CellsConfig
    options: TableOptions


class Option(_Part):
    text: str
    value: str
    selected: bool


class Constant(_Part, tag_field="type", tag="constant"):
    """A variable that viewers can't change, such as the schema's name.

    The JSON sets it, or the live page.
    """

    name: str
    hide: Literal[2]
    query: str
    skip_url_sync: Literal[True]


class Custom(_Part, tag_field="type", tag="custom"):
    """A variable that viewers choose from a list."""

    name: str
    label: str
    description: str
    hide: Literal[0]
    query: str
    current: Option
    options: list[Option]
    multi: Literal[False]
    include_all: Literal[False]
    allow_custom_value: Literal[False]


class Templating(_Part):
    list: list[Constant | Custom]


class Times(_Part):
    """A time range in Grafana's words, for example `now-1h` to `now`."""

    from_: str = msgspec.field(name="from")
    to: Literal["now"]


class Annotations(_Part):
    list: tuple[()]


class Dashboard(_Part):
    """A dashboard. `refresh` is an interval such as `5s`."""

    uid: str
    title: str
    description: str
    schema_version: Literal[41]
    version: int
    tags: list[str]
    timezone: Literal["browser"]
    editable: bool
    graph_tooltip: Literal[0, 1]
    time: Times
    refresh: str
    templating: Templating
    annotations: Annotations
    links: list[dict[str, Any]]
    panels: list[Stat | BarChart | TimeSeries | Table]

    @property
    def variables(self) -> dict[str, Constant | Custom]:
        return {variable.name: variable for variable in self.templating.list}

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the dashboard in a JSON document.

        Raises msgspec.ValidationError, which says where the document is invalid.
        """
        return msgspec.json.decode(data, type=cls)
