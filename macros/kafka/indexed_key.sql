{#- What an index has for a message's key, of which PostgreSQL can't hold one of more than
    2,704 bytes: the connector looks keys up by it (INDEXED_KEY in its tables.py). -#}
{% macro indexed_key(column) -%}
    case
        when octet_length({{ column }}) <= 2600 then {{ column }}
        else sha256({{ column }}) || substr({{ column }}, 1, 2569)
    end
{%- endmacro %}
