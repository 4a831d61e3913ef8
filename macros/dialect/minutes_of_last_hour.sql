{#- The rows of an insight by minute, of the last hour to the event: what
    `minute_<insight>` holds, but in the two minutes at the edges only the checkouts
    of the hour. A checkout counts while purchase_time <= now < purchase_time + 1 h. -#}
{% macro minutes_of_last_hour(insight) %}
    {{- adapter.dispatch('minutes_of_last_hour')(insight) -}}
{% endmacro %}

{#- Whole minutes are there already; the edges hold one minute's checkouts together. -#}
{% macro postgres__minutes_of_last_hour(insight) -%}
    {%- set by_minute = context['minute_' ~ insight] -%}
    select * from {{ ref('minute_' ~ insight) }}
    where
        minute > now() - interval '1 hour'
        and minute < {{ minute_of('now()') }}
    union all
    select * from (
        {{ by_minute(ref('checkouts'), "
            purchase_time > now() - interval '1 hour'
            and purchase_time < " ~ minute_of("now() - interval '59 minutes'") ~ "
        ") }}
    ) as oldest_minute
    union all
    select * from (
        {{ by_minute(ref('checkouts'), "
            purchase_time >= " ~ minute_of('now()') ~ "
            and purchase_time <= now()
        ") }}
    ) as newest_minute
{%- endmacro %}

{% macro materialize__minutes_of_last_hour(insight) -%}
    {{ context['minute_' ~ insight](
        ref('checkouts'), temporal_filter('purchase_time', '1 hour')) }}
{%- endmacro %}

{% macro risingwave__minutes_of_last_hour(insight) -%}
    {{ materialize__minutes_of_last_hour(insight) }}
{%- endmacro %}
