//! What this role may do with our tables, by the catalog: it says so even where nothing may be
//! read, and is not fooled by policies that hide every row.

use crate::db::{Db, DbError};

/// How things stand before any table of ours is read.
#[derive(Debug)]
pub struct Rights {
    pub role: String,
    /// Who may grant rights on `photo_generation_queue`; `None`: there is no such table, neither
    /// ours nor somebody's.
    pub owner: Option<String>,
    /// There is the table that holds the schema's version.
    pub has_settings: bool,
    /// Our tables are found by their bare names, as our statements write them.
    pub visible: bool,
    /// What makes them found.
    pub visible_sql: String,
    /// The version may be read, if no policy hides it.
    pub reads_settings: bool,
}

/// Looks at the catalog only.
pub async fn rights(db: &Db) -> Result<Rights, DbError> {
    Ok(sqlx::query_as!(
        Rights,
        r#"SELECT current_user::text AS "role!",
                  pg_get_userbyid(queue.relowner)::text AS owner,
                  settings.oid IS NOT NULL AS "has_settings!",
                  coalesce(pg_table_is_visible(queue.oid) AND pg_table_is_visible(settings.oid), true)
                      AS "visible!",
                  format('ALTER ROLE %I IN DATABASE %I SET search_path = public;',
                         current_user, current_database()) AS "visible_sql!",
                  coalesce(has_schema_privilege('public', 'USAGE')
                           AND has_table_privilege(settings.oid, 'SELECT'), false) AS "reads_settings!"
           FROM (VALUES (0)) AS one
           LEFT JOIN pg_class AS queue
               ON queue.relname = 'photo_generation_queue' AND queue.relkind IN ('r', 'p')
               AND queue.relnamespace = 'public'::regnamespace
           LEFT JOIN pg_class AS settings
               ON settings.relname = 'photo_generation_settings' AND settings.relkind = 'r'
               AND settings.relnamespace = 'public'::regnamespace"#
    )
    .fetch_one(&db.pool)
    .await?)
}

/// The statements that give this role what a worker needs and it does not have.
pub async fn grants_missing(db: &Db) -> Result<Vec<String>, DbError> {
    let grants = sqlx::query_scalar!(
        r#"SELECT sql AS "sql!" FROM (
               SELECT format('GRANT USAGE ON SCHEMA public TO %I;', current_user) AS sql, 1 AS nth
               WHERE NOT has_schema_privilege('public', 'USAGE')
               UNION ALL
               SELECT format('GRANT %s ON public.%I TO %I;', string_agg(may, ', ' ORDER BY place),
                             relname, current_user), 2
               FROM pg_class,
                    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY
                        AS wanted (may, place)
               WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                 AND relname LIKE 'photo\_generation\_%'
                 AND NOT has_table_privilege(oid, may)
               GROUP BY relname
               UNION ALL
               -- Triggers need no such right.
               SELECT format('GRANT EXECUTE ON FUNCTION public.%I(%s) TO %I;', proname,
                             pg_get_function_identity_arguments(oid), current_user), 3
               FROM pg_proc
               WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'photo\_generation\_%'
                 AND prokind = 'f' AND prorettype <> 'trigger'::regtype
                 AND NOT has_function_privilege(oid, 'EXECUTE')
           ) AS missing
           ORDER BY nth, sql"#
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(grants)
}

/// A table whose policies hide rows from this role.
#[derive(Debug)]
pub struct Hidden {
    pub table: String,
    /// Shows them.
    pub sql: String,
}

/// A policy that lets this role do everything with every row hides nothing.
pub async fn rows_hidden(db: &Db) -> Result<Vec<Hidden>, DbError> {
    Ok(sqlx::query_as!(
        Hidden,
        r#"SELECT relname::text AS "table!",
                  format('CREATE POLICY safelight_worker ON public.%I TO %I USING (true) WITH CHECK (true);',
                         relname, current_user) AS "sql!"
           FROM pg_class
           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
             AND relname LIKE 'photo\_generation\_%'
             AND row_security_active(oid)
             AND NOT EXISTS (
                 SELECT FROM pg_policy
                 WHERE polrelid = pg_class.oid AND polpermissive AND polcmd = '*'
                   AND pg_get_expr(polqual, polrelid) = 'true'
                   AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true'
                   AND EXISTS (SELECT FROM unnest(polroles) AS role
                               WHERE role = 0 OR pg_has_role(role, 'USAGE')))
           ORDER BY relname = 'photo_generation_queue' DESC, relname"#
    )
    .fetch_all(&db.pool)
    .await?)
}
