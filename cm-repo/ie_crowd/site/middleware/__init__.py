"""What stands between a request and its handler.

connections      the server's sockets and deadlines
writers          threads that change the store, apart from those that answer
counter          what each client did lately, counted by all processes together
guard            allowed hosts, origin checks (CSRF), body limits, rate limits, security headers
session          cookies, sessions, form tokens
flash            messages after a change
permissions      who may do what
form_data        form bodies within limits
form_routes      handlers of forms: rights, body, token
problem_details  RFC 9457 errors
"""
