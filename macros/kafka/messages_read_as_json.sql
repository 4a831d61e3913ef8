{#- Materialize: select the messages of a source, with the payload as JSON in
    `document`, or null if it isn't a JSON object.

    Materialize has no cast that returns null on an error. If a cast fails, every view
    on the source returns that error for as long as the source holds the message. So
    before the cast, regular expressions prove that the payload is JSON, each in time
    linear in its length.

    An object that contains no array or object takes a single pattern. For any other
    object, the query makes an outline: it replaces every string by "", then every
    innermost array or object by null, again and again. For example,
    `{"a": [1, {"b": "c"}]}` becomes `{"": [1, {"": ""}]}`, then `{"": [1, null]}`,
    `{"": null}` and `null`. The payload is JSON if null is all that remains. Deeper
    nesting than `levels` takes a recursive query. It keeps its rows in memory, but
    there are few such messages. -#}
{% macro messages_read_as_json(relation) -%}
    {%- set json = json_patterns() -%}
    {%- set levels = 8 -%}
    {%- set columns -%}
            event_key,
            payload,
            payload_text,
            kafka_partition,
            kafka_offset,
            kafka_time
    {%- endset -%}
    with texts as (
        select
            event_key,
            data as payload,
            {{ text_if_utf8('data') }} as payload_text,
            kafka_partition,
            kafka_offset::bigint as kafka_offset,
            kafka_time at time zone 'UTC' as kafka_time
        from {{ relation }}
    ),

    strings_left_out as (
        select
            {{ columns }},
            case
                when payload_text ~ '{{ json.flat_object }}' then 'null'
                when payload_text ~ '{{ json.start_of_object }}'
                    then regexp_replace(payload_text, '{{ json.text }}', '""', 'g')
            end as outline
        from texts
    ),

    outlines as (
        select
            {{ columns }},
            {{ 'regexp_replace(' * levels -}}
            outline
            {{- (", '" ~ json.innermost ~ "', 'null', 'g')") * levels }} as outline
        from strings_left_out
    ),

    deep_objects as (
        with mutually recursive (return at recursion limit 100)
        deep_outlines (kafka_partition integer, kafka_offset bigint, outline text) as (
            select kafka_partition, kafka_offset, outline from outlines
            where outline ~ '{{ json.start_of_object }}'
            union
            select
                kafka_partition,
                kafka_offset,
                regexp_replace(outline, '{{ json.innermost }}', 'null', 'g') as outline
            from deep_outlines
        )

        select distinct kafka_partition, kafka_offset from deep_outlines
        where outline ~ '{{ json.null }}'
    )

    select
        event_key,
        payload,
        case when outline ~ '{{ json.null }}' then payload_text::jsonb end as document,
        kafka_partition,
        kafka_offset,
        kafka_time
    from outlines
    where (outline ~ '{{ json.start_of_object }}') is not true

    union all

    select
        outlines.event_key,
        outlines.payload,
        case
            when deep_objects.kafka_offset is not null then outlines.payload_text::jsonb
        end as document,
        outlines.kafka_partition,
        outlines.kafka_offset,
        outlines.kafka_time
    from outlines
    left join deep_objects
        on
            outlines.kafka_partition = deep_objects.kafka_partition
            and outlines.kafka_offset = deep_objects.kafka_offset
    where outlines.outline ~ '{{ json.start_of_object }}'
{%- endmacro %}


{#- Return regular expressions for JSON (RFC 8259), with limits. They don't match \u0000
    and unpaired surrogates, which PostgreSQL's jsonb refuses. Materialize's numeric has
    39 digits, so they only match numbers that fit in any case: up to 18 digits on
    either side of the point, and an exponent of at most 20. -#}
{% macro json_patterns() -%}
    {%- set space -%} [ \t\n\r]* {%- endset -%}
    {%- set pair -%}
        [dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
    {%- endset -%}
    {%- set single -%}
        [1-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}|0[1-9a-fA-F][0-9a-fA-F]{2}|00[1-9a-fA-F][0-9a-fA-F]|000[1-9a-fA-F]
    {%- endset -%}
    {%- set text = '"(?:[^"\\\\\\x00-\\x1f]|\\\\["\\\\/bfnrt]|\\\\u(?:' ~ single ~ '|'
        ~ pair ~ '))*"' -%}
    {%- set number -%}
        -?(?:0|[1-9][0-9]{0,17})(?:[.][0-9]{1,18})?(?:[eE][+-]?0*(?:1?[0-9]|20))?
    {%- endset -%}
    {%- set scalar = number ~ '|true|false|null' -%}
    {{ return({
        'text': text,
        'flat_object':
            '^' ~ space ~ pattern_of_object(space, text, scalar) ~ space ~ '$',
        'start_of_object': '^' ~ space ~ '[{]',
        'innermost':
            pattern_of_object(space, '""', scalar)
            ~ '|\\[' ~ pattern_of_items(space, '(?:""|' ~ scalar ~ ')') ~ '\\]',
        'null': '^' ~ space ~ 'null' ~ space ~ '$',
    }) }}
{%- endmacro %}


{% macro pattern_of_object(space, text, scalar) -%}
    {%- set field = text ~ space ~ ':' ~ space ~ '(?:' ~ text ~ '|' ~ scalar ~ ')' -%}
    [{]{{ pattern_of_items(space, field) }}[}]
{%- endmacro %}


{% macro pattern_of_items(space, item) -%}
    {{ space }}(?:{{ item }}{{ space }}(?:,{{ space }}{{ item }}{{ space }})*)?
{%- endmacro %}
