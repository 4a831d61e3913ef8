{#- Select an insight by minute for the last hour, exact to the event: the rows of
    `minute_<insight>`, but in the first and the last minute only from checkouts within
    the hour. A checkout counts from its purchase_time until just before purchase_time +
    1 hour. -#}
{% macro minutes_of_last_hour(insight) %}
    {{- adapter.dispatch('minutes_of_last_hour')(insight) -}}
{% endmacro %}

{#- The whole minutes are already stored. The two other minutes are computed when
    somebody queries the view, and have at most one minute's checkouts together. -#}
{% macro default__minutes_of_last_hour(insight) -%}
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
    {{ context['minute_' ~ insight](
        ref('checkouts'), temporal_filter('purchase_time', '1 hour')) }}
{%- endmacro %}
