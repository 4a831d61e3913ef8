{#- Raises an error where the database can't hold what the messages do: text of any
    language, which another encoding has no characters for. In ASCII alone, as anything
    else would be an error of its own there. -#}
{% macro check_database() %}
do $$
begin
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception
            'the database % is encoded in %, expected UTF8: create another one by createdb --encoding UTF8 --template template0',
            current_database(), current_setting('server_encoding');
    end if;
end
$$;
{% endmacro %}
