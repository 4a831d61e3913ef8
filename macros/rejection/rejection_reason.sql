{#- Return the reason to reject a message, null if it is accepted. If several rules are
    broken, the first one counts, in this order: the message has no key; it isn't a JSON
    object; a field is wrong, in the order of `fields`; the id is too long for an index;
    the key differs from the id; the time is in the future. The query must have the
    columns event_key, document, kafka_time and those of field_values().

    fields: {field: kind}; the first one is the event's id. time: the field with the
    event's time. is_indexed: whether the id is the primary key of a relation, so that
    the engine's index may limit its length. -#}
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
