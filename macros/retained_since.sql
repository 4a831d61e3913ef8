{#- Return the time before which events expire. It is rounded down to a whole minute, so
    that a row of `minute_*` expires as a whole. -#}
{% macro retained_since() -%}
    {{ minute_of('now() - ' ~ interval_of('retention')) }}
{%- endmacro %}
