"""The results site: a web layer over ``ie_crowd.store``, without scripts, for one's own premises.

``app.create_app(settings)`` is the ASGI application. Every module with pages has ``routes``; handlers that touch the
store are plain functions, which Starlette runs in threads, and reach it by ``request.app.state``:

==========  ============================================================================================
store       the engine of ``ie_crowd.store.database``
settings    ``settings.Settings``
content     what the challenge's folder says (``content.Content``): rules, claims, words for the pages
cached      ``cached.Cached``: what is computed from the store, until the store changes
==========  ============================================================================================

Its rooms, from the bottom up:

settings       how one site is run
middleware     limits, origin checks, sessions, permissions, errors
rendering      how templates show values
charts         charts as SVG
api            the JSON API, and tables as files
pages          the pages for people
pictures       charts as files, pictures beside links to pages
content        the challenge that the site is about
cache          values computed from the store, kept until it changes
app            the application: routes, start and end, error pages
supervisor     several processes that serve one site
asgi_client    requests from inside the process
static_export  the site as files

A page is ``context.render(request, "name.html.j2", ...)``; its links are made by ``link("/path", key=value)`` in the
template, which also serves the static copy of the site, where they are relative paths.
"""
