"""The catalogues of the texts for cashiers, in ``<language>/LC_MESSAGES/payme_plugin.po`` and ``.mo``.

A text's msgid is its key in ``payme_plugin.texts.Text``. After a change of a ``.po``: ``python docs/generate.py``.
"""
