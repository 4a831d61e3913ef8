{#- Return a variable of the project, for example `retention`, as an interval. It is a number
    of seconds, which has the same length in every session. -#}
{% macro interval_of(variable) -%}
    interval '{{ seconds_of(variable) }} seconds'
{%- endmacro %}
