{#- Return what a PostgreSQL index holds in place of a text of any length: its hash.
    `indexes` in the models' YAML has the same expression. -#}
{% macro indexed_text(column) -%}
    hashtextextended({{ column }}, 0)
{%- endmacro %}
