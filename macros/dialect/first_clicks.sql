{#- Of each purchase the earliest of its user's clicks in the window before it:
    purchase_id, click_id, click_at, source, click_time. -#}
{% macro first_clicks(purchases, clicks) %}
    {{- adapter.dispatch('first_clicks')(purchases, clicks) -}}
{% endmacro %}

{#- Looked up for each purchase. It has no WITH: PostgreSQL can't join into a view that
    has one. -#}
{% macro postgres__first_clicks(purchases, clicks) -%}
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

{% macro materialize__first_clicks(purchases, clicks) -%}
    {{ postgres__first_clicks(purchases, clicks) }}
{%- endmacro %}

{#- A lateral join would keep the purchases twice more, to join its answers to them. -#}
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

{#- The last condition says the same once more, for an index on purchases: a click then
    looks at the purchases of its window only, not at all later ones. -#}
{% macro is_in_window() -%}
    {{ same_text('clicks.user_id', 'purchases.user_id') }}
    and clicks.click_time <= purchases.purchase_time
    and clicks.click_time
    >= purchases.purchase_time - {{ interval_of('attribution_window') }}
    and purchases.purchase_time
    <= clicks.click_time + {{ interval_of('attribution_window') }}
{%- endmacro %}
