"""The results site: a web layer over ``ie_crowd.store``, without scripts, for one's own premises.

``app.create_app(settings)`` is the ASGI application. Every module with pages has ``routes``; handlers that touch the
store are plain functions, which Starlette runs in threads, and reach it by ``request.app.state``:

==========  ============================================================================================
store       the engine of ``ie_crowd.store.database``
settings    ``settings.Settings``
content     what the challenge's folder says (``content.Content``): rules, claims, words for the pages
cached      ``cached.Cached``: what is computed from the store, until the store changes
==========  ============================================================================================

A page is ``context.render(request, "name.html.j2", ...)``; its links are made by ``link("/path", key=value)`` in the
template, which also serves the static copy of the site, where they are relative paths.
"""
