{#- The time from which on events are kept: whole minutes, so that an insight by the
    minute goes as a whole. -#}
{% macro retained_since() -%}
    {{ minute_of('now() - ' ~ interval_of('retention')) }}
{%- endmacro %}
