"""The pages for people: for each its routes, what it reads, which template shows it.

paper       the paper, initiatives, how to take part
results     the list of results, as table or chart
result      one result
compare     two results side by side
ranking     ranks by contest
challenge   rules and checklists
formats     documented formats
api_docs    the API for people
login       log-in and log-out
account     one's own account
comments    comments and objections
moderation  the reviewers' queue and decisions
admin       accounts and the audit log
feed        the Atom feed
list_query  filters, order, page and axes of a query string
"""
