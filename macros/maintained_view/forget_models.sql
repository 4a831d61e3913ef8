{#- Drops what an older version of the project deployed and this one has no more, with
    the triggers that keep it, unless a model that is deployed reads it still. So it runs
    before the models, whose columns such a reader would hold on to, and after them;
    `single_transaction` does it itself. With `rebuild` all goes that messages can be derived into
    again. -#}
{% macro forget_models(at_start=false) %}
    {%- if not execute or adapter.type() != 'postgres' or flags.WHICH not in ['run', 'build']
        or var('single_transaction', false) -%}
        {{ return('') }}
    {%- endif -%}
    {%- set there = [] -%}
    {%- set kept = not (var('rebuild', false) and at_start) -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and kept -%}
        {%- do there.append(node.relation_name) -%}
    {%- endfor -%}
    {%- set models = deployed_models() -%}
    {%- set statements = [] -%}
    {%- for model in models.values() | list | reverse if model.relation not in there -%}
        {%- set readers = [] -%}
        {%- for reader in models.values() if model.relation in reader.parents -%}
            {%- do readers.append(reader.relation) -%}
        {%- endfor -%}
        {%- if not readers -%}
            {%- do models.pop(model.relation) -%}
            {%- for function in model.functions -%}
                {%- do statements.append('drop function if exists ' ~ function ~ '() cascade') -%}
            {%- endfor -%}
            {%- do statements.append(
                'drop ' ~ ('view' if model.kind == 'view' else 'table')
                ~ ' if exists ' ~ model.relation) -%}
            {%- do statements.append(
                'delete from ' ~ maintenance_schema() ~ ".models where relation = '"
                ~ model.relation ~ "'") -%}
            {%- do log(model.relation ~ (' is no model any more: dropped' if kept
                else ' dropped, to be made anew'), info=true) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if statements -%}
        select {{ maintenance_schema() }}.lock_writers();
        set local lock_timeout = '30s';
        {{ statements | join(';\n') }}
    {%- endif -%}
{% endmacro %}
