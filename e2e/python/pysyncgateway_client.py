"""Everything that pysyncgateway offers, unmodified, against a running server of profile 2.

Usage: pysyncgateway_client.py ADMIN_URL PUBLIC_URL
"""

import sys
import unittest

from pysyncgateway import AdminClient, Stats, UserClient
from pysyncgateway.exceptions import (
    ClientUnauthorized,
    DoesNotExist,
    RevisionMismatch,
    SyncGatewayClientErrorResponse,
)

ADMIN_URL, PUBLIC_URL = "", ""


class Everything(unittest.TestCase):
    def setUp(self):
        self.admin = AdminClient(ADMIN_URL)
        self.database = self.admin.get_database("everything")
        self.assertTrue(self.database.create())
        self.addCleanup(self.database.delete)

    def document(self, doc_id, **data):
        document = self.database.get_document(doc_id)
        document.data = data
        return document

    def user(self, *channels):
        user = self.database.get_user("al")
        user.set_password("a secret")
        user.set_admin_channels(*channels)
        self.assertEqual(user.create_update(), self.admin.CREATED)
        return user

    def test_server(self):
        self.assertEqual(sorted(self.admin.get_server()), ["ADMIN", "couchdb", "vendor", "version"])
        self.assertEqual(sorted(UserClient(PUBLIC_URL).get_server()), ["couchdb", "vendor", "version"])
        stats = Stats(self.admin)
        self.assertTrue(stats.retrieve())
        self.assertEqual(
            sorted(stats.data),
            [
                "cb",
                "cmdline",
                "goblip",
                "mc",
                "memstats",
                "syncGateway_changeCache",
                "syncGateway_dcp",
                "syncgateway",
            ],
        )

    def test_databases(self):
        self.assertEqual(self.admin.all_databases(), [self.database])
        self.assertEqual(self.database.get()["db_name"], "everything")
        with self.assertRaises(SyncGatewayClientErrorResponse) as refused:
            self.database.create()
        self.assertEqual(refused.exception.status_code, 412)
        self.assertIn("Duplicate database name", refused.exception.json["reason"])
        self.assertTrue(self.database.delete())
        self.assertFalse(self.database.delete())
        with self.assertRaises(DoesNotExist):
            self.database.get()
        self.assertTrue(self.database.create())

    def test_documents(self):
        for doc_id in ["plain", "with space", "£é", "*$!|.", "a+b=c@d"]:
            document = self.document(doc_id, n=1)
            document.set_channels("x", "y")
            self.assertEqual(document.create_update(), self.admin.CREATED)
            again = self.database.get_document(doc_id)
            self.assertTrue(again.retrieve())
            self.assertEqual((again.data, again.channels, again.rev), ({"n": 1}, ("x", "y"), document.rev))
        self.assertEqual(len(self.database.all_docs()), 5)

    def test_edits(self):
        document = self.document("a", n=1)
        document.create_update()
        first = document.rev
        document.data = {"n": 2}
        document.create_update()
        self.assertTrue(document.rev.startswith("2-"))
        with self.assertRaises(RevisionMismatch):
            self.document("a", n=3).create_update()
        stale = self.database.get_document("a")
        stale.set_rev(first)
        with self.assertRaises(RevisionMismatch):
            stale.delete()
        self.assertTrue(document.delete())
        with self.assertRaises(RevisionMismatch):
            document.delete()
        with self.assertRaises(DoesNotExist):
            self.database.get_document("a").retrieve()
        with self.assertRaises(DoesNotExist):
            self.database.get_document("none").delete()

    def test_conflicts(self):
        leaves = []
        for number in ["123", "456", "789"]:
            leaf = self.document("a", n=number)
            leaf.set_rev("1-" + number)
            leaves.append(leaf)
        self.assertTrue(self.database.bulk_docs(leaves))
        document = self.database.get_document("a")
        self.assertEqual(document.get_open_revisions(), 3)
        self.assertEqual(document.rev, "1-789")
        self.assertEqual(sorted(other.rev for other in document.open_revisions), ["1-123", "1-456"])
        self.assertTrue(document.delete())
        self.assertTrue(document.retrieve())
        self.assertEqual(document.rev, "1-456")
        self.assertEqual(document.get_open_revisions(include_deleted=True), 3)

    def test_deleting_in_bulk(self):
        document = self.document("a", n=1)
        document.create_update()
        document.to_delete = True
        self.assertTrue(self.database.bulk_docs([document], new_edits=None))
        self.assertEqual(self.database.all_docs(), [])
        self.assertTrue(self.database.bulk_docs([]))

    def test_users(self):
        user = self.user("b", "a")
        self.assertEqual(self.database.all_users(), [user])
        self.assertTrue(user.retrieve())
        self.assertEqual(user.data, {"name": "al", "admin_channels": ["a", "b"], "all_channels": ["!", "a", "b"]})
        user.set_admin_channels("c")
        self.assertEqual(user.create_update(), self.admin.UPDATED)
        self.assertTrue(user.delete())
        with self.assertRaises(DoesNotExist):
            user.retrieve()
        with self.assertRaises(SyncGatewayClientErrorResponse) as refused:
            self.database.get_user("no-password").create_update()
        self.assertEqual(refused.exception.json["reason"], "Empty passwords are not allowed ")

    def test_sessions(self):
        self.user("a")
        client = UserClient(PUBLIC_URL)
        session = client.get_database("everything").get_session()
        self.assertTrue(session.retrieve())
        self.assertEqual((session.get_name(), session.get_channels()), (None, []))
        client.auth("al", "a secret")
        self.assertTrue(session.retrieve())
        self.assertEqual((session.get_name(), session.get_channels()), ("al", ["!", "a"]))
        admin = self.database.get_session()
        self.assertTrue(admin.retrieve())
        self.assertIsNone(admin.get_name())

    def test_public_port(self):
        self.user("a")
        client = UserClient(PUBLIC_URL)
        database = client.get_database("everything")
        with self.assertRaises(ClientUnauthorized):
            database.get()
        client.auth("al", "wrong")
        with self.assertRaises(ClientUnauthorized):
            database.get()
        client.auth("al", "a secret")
        self.assertEqual(database.get()["db_name"], "everything")
        with self.assertRaises(DoesNotExist):
            UserClient(PUBLIC_URL).get_database("none").get()
        open_document, closed_document = self.document("open"), self.document("closed")
        open_document.set_channels("a")
        open_document.create_update()
        closed_document.create_update()
        self.assertTrue(database.get_document("open").retrieve())
        with self.assertRaises(SyncGatewayClientErrorResponse) as refused:
            database.get_document("closed").retrieve()
        self.assertEqual(refused.exception.status_code, 403)

    def test_queries(self):
        query = self.database.get_query("lists")
        with self.assertRaises(DoesNotExist):
            query.retrieve()
        source = "function (doc, meta) { emit(meta.id, doc); }"
        query.data = {"views": {"all": {"map": source}}}
        self.assertTrue(query.create_update())
        again = self.database.get_query("lists")
        self.assertTrue(again.retrieve())
        self.assertEqual(list(again.data["views"]["all"]), ["map"])
        self.assertIn(source, again.data["views"]["all"]["map"])
        self.assertTrue(query.delete())
        with self.assertRaises(DoesNotExist):
            query.retrieve()


if __name__ == "__main__":
    PUBLIC_URL = sys.argv.pop()
    ADMIN_URL = sys.argv.pop()
    unittest.main()
