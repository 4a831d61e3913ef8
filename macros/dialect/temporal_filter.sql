{#- The moments at which a row counts: from its time on and for so long; at the end
    itself only where `inclusive`. -#}
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
