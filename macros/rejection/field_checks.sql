{#- The kinds of field: what each must be, in the specification's words, and the
    condition that it is. -#}
{% macro field_checks() %}
    {{ return({
        'text': {'expected': 'a text', 'condition': is_text},
        'time': {'expected': 'a time', 'condition': is_time},
        'quantity': {
            'expected': 'a whole number from 1 to 1000000',
            'condition': is_quantity,
        },
        'discount': {
            'expected': 'a decimal from 0 to below 1',
            'condition': is_discount,
        },
        'shipping_cost': {
            'expected': 'a decimal from 0 to below 1000000',
            'condition': is_shipping_cost,
        },
        'total_cost': {
            'expected': 'a decimal of at most 9 digits before the point',
            'condition': is_total_cost,
        },
        'payment_status': {
            'expected': 'success or failure',
            'condition': is_payment_status,
        },
    }) }}
{% endmacro %}

{% macro is_text(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string' and document->>'{{ field }}' <> ''
{%- endmacro %}

{% macro is_quantity(field) -%}
    {{ is_decimal(field, 'value between 1 and 1000000', places=0) }}
{%- endmacro %}

{% macro is_discount(field) -%}
    {{ is_decimal(field, 'value >= 0 and value < 1') }}
{%- endmacro %}

{% macro is_shipping_cost(field) -%}
    {{ is_decimal(field, 'value >= 0 and value < 1000000') }}
{%- endmacro %}

{% macro is_total_cost(field) -%}
    {{ is_decimal(field, 'abs(value) < 1000000000') }}
{%- endmacro %}

{% macro is_payment_status(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string'
    and document->>'{{ field }}' in ('success', 'failure')
{%- endmacro %}
