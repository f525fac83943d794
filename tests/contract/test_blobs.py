from onward.testing.contracts import BlobsContract


class TestBlobs(BlobsContract):
    pass
