"""The catalogues of the texts for cashiers: ``<language>/LC_MESSAGES/payme_plugin.po`` and what is compiled from it.

A text's msgid is its key in ``payme_plugin.texts.Text``. After a change of a ``.po``: ``python docs/generate.py``.
"""
