{#- Return the condition that a row counts now: from its time on, for the duration. For
    example, with '1 hour' a checkout of 12:00 counts from 12:00 until just before
    13:00, and with `inclusive` also at 13:00 exactly. -#}
{% macro temporal_filter(time, duration, inclusive=false) %}
    {{- adapter.dispatch('temporal_filter')(time, duration, inclusive) -}}
{% endmacro %}

{% macro default__temporal_filter(time, duration, inclusive) -%}
    {{ time }} <= now()
    and {{ time }} >{{ '=' if inclusive }} now() - interval '{{ duration }}'
{%- endmacro %}

{% macro materialize__temporal_filter(time, duration, inclusive) -%}
    mz_now() >= {{ time }}
    and mz_now() <{{ '=' if inclusive }} {{ time }} + interval '{{ duration }}'
{%- endmacro %}
