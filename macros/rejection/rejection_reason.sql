{#- The first reason for which a message is rejected, null where there is none: no
    key, not a JSON object, each field in its order, the key, the future. Reads
    event_key, document, kafka_time and the field_values().

    fields: {field: kind}; the first is the event's id. is_indexed: whether the id is a
    key of relations, which an engine's index may limit. -#}
{% macro rejection_reason(fields, time, is_indexed=false) %}
    {%- set id = fields.keys() | first -%}
    case
        when event_key is null then 'no key'
        when (jsonb_typeof(document) = 'object') is not true then 'not a JSON object'
        {%- for field, kind in fields.items() %}
        {%- set check = field_kinds(field)[kind] %}
        when ({{ check.condition }}) is not true
            then case
                when coalesce(jsonb_typeof(document->'{{ field }}'), 'null') = 'null'
                    then '{{ field }} is missing'
                else '{{ field }} is not {{ check.expected }}'
            end
        {%- endfor %}
        {%- if is_indexed %}
        when {{ is_too_long(id) }} then '{{ id }} is longer than 2600 bytes'
        {%- endif %}
        when ({{ key_is(id) }}) is not true then 'key differs from {{ id }}'
        when {{ time }} > kafka_time + interval '5 minutes'
            then '{{ time }} is in the future'
    end
{%- endmacro %}
