{#- Return the expression that PostgreSQL indexes for a message's key. A B-tree entry
    holds at most 2,704 bytes, so a key of more than 2,600 bytes is replaced by its hash
    and its beginning, 2,601 bytes together, which no shorter key can equal. The
    connector finds keys by the same expression, INDEXED_KEY in its tables.py: change
    both together. -#}
{% macro indexed_key(column) -%}
    case
        when octet_length({{ column }}) <= 2600 then {{ column }}
        else sha256({{ column }}) || substr({{ column }}, 1, 2569)
    end
{%- endmacro %}
