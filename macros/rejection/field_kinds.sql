{#- Return the kinds that a field can have, as {kind: {expected, value, condition}}.
    `expected` is the specification's wording, as it appears in the reason of a
    rejection. `value` reads the field from `document`, and is null if the JSON value
    has another type. `condition` says whether that value is valid; it is null if the
    value is. -#}
{% macro field_kinds(field) %}
    {{ return({
        'text': {
            'expected': 'a text',
            'value': text_value(field),
            'condition': field ~ " <> ''",
        },
        'time': {
            'expected': 'a time',
            'value': time_value(field),
            'condition': event_time_text(field) ~ " = document->>'" ~ field ~ "'"
                ~ ' and ' ~ field ~ " between '1970-01-01 00:00:00+00'::timestamptz"
                ~ " and '9999-12-31 23:59:59.999+00'::timestamptz",
        },
        'quantity': {
            'expected': 'a whole number from 1 to 1000000',
            'value': decimal_value(field, places=0),
            'condition': field ~ ' between 1 and 1000000',
        },
        'discount': {
            'expected': 'a decimal from 0 to below 1',
            'value': decimal_value(field),
            'condition': field ~ ' >= 0 and ' ~ field ~ ' < 1',
        },
        'shipping_cost': {
            'expected': 'a decimal from 0 to below 1000000',
            'value': decimal_value(field),
            'condition': field ~ ' >= 0 and ' ~ field ~ ' < 1000000',
        },
        'total_cost': {
            'expected': 'a decimal of at most 9 digits before the point',
            'value': decimal_value(field),
            'condition': 'abs(' ~ field ~ ') < 1000000000',
        },
        'payment_status': {
            'expected': 'success or failure',
            'value': text_value(field),
            'condition': field ~ " in ('success', 'failure')",
        },
    }) }}
{% endmacro %}


{#- The field's text if it is a JSON string, otherwise null. -#}
{% macro text_value(field) -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'string'
            then document->>'{{ field }}'
    end
{%- endmacro %}
