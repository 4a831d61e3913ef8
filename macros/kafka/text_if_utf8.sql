{#- Materialize: return bytes as text, or null if they aren't UTF-8, where
    convert_from() would fail. Also return null if they contain a zero byte:
    PostgreSQL's texts can't hold one, and all engines should give the same result. -#}
{% macro text_if_utf8(bytes) -%}
    {%- set continued = '[89ab][0-9a-f]' -%}
    case
        when encode({{ bytes }}, 'hex') ~ '^(?:{{ [
            '0[1-9a-f]|[1-7][0-9a-f]',
            '(?:c[2-9a-f]|d[0-9a-f])' ~ continued,
            'e0[ab][0-9a-f]' ~ continued,
            'e[1-9a-cef](?:' ~ continued ~ '){2}',
            'ed[89][0-9a-f]' ~ continued,
            'f0[9ab][0-9a-f](?:' ~ continued ~ '){2}',
            'f[1-3](?:' ~ continued ~ '){3}',
            'f48[0-9a-f](?:' ~ continued ~ '){2}',
        ] | join('|') }})*$'
            then convert_from({{ bytes }}, 'utf8')
    end
{%- endmacro %}
