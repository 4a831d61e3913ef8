{#- Select the first click of each purchase that has one: the earliest click of its user
    in the attribution window before the purchase. The columns are purchase_id,
    click_id, click_at, source and click_time. -#}
{% macro first_clicks(purchases, clicks) %}
    {{- adapter.dispatch('first_clicks')(purchases, clicks) -}}
{% endmacro %}

{#- The lateral join looks up a purchase's first click in an index. The query has no
    WITH, because PostgreSQL doesn't push a join's condition into a view that has
    one. -#}
{% macro default__first_clicks(purchases, clicks) -%}
    select
        purchases.purchase_id,
        first_clicks.click_id,
        first_clicks.click_at,
        first_clicks.source,
        first_clicks.click_time
    from {{ purchases }} as purchases
    cross join lateral (
        select
            clicks.click_id,
            clicks.click_at,
            clicks.source,
            clicks.click_time
        from {{ clicks }} as clicks
        where {{ is_in_window() }}
        order by clicks.click_time, {{ binary_collation('clicks.click_id') }}
        limit 1
    ) as first_clicks
{%- endmacro %}

{#- For a lateral join, RisingWave would store the purchases two more times, to find
    their clicks and to join those to them. -#}
{% macro risingwave__first_clicks(purchases, clicks) -%}
    select purchase_id, click_id, click_at, source, click_time
    from (
        select
            purchases.purchase_id,
            clicks.click_id,
            clicks.click_at,
            clicks.source,
            clicks.click_time,
            row_number() over (
                partition by purchases.purchase_id
                order by clicks.click_time, clicks.click_id
            ) as place
        from {{ purchases }} as purchases
        inner join {{ clicks }} as clicks
            on {{ is_in_window() }}
    ) as ranked
    where place = 1
{%- endmacro %}

{#- The last condition follows from the others. It lets PostgreSQL find the purchases of
    a click in an index: only those in its window, not all later ones. -#}
{% macro is_in_window() -%}
    {{ same_text('clicks.user_id', 'purchases.user_id') }}
    and clicks.click_time <= purchases.purchase_time
    and clicks.click_time
    >= purchases.purchase_time - {{ interval_of('attribution_window') }}
    and purchases.purchase_time
    <= clicks.click_time + {{ interval_of('attribution_window') }}
{%- endmacro %}
