"""Digital goods: a streamed file, HEAD before GET, a range, a picture in a multipart form."""

import io

from locust import HttpUser, constant, task


class Downloader(HttpUser):
    wait_time = constant(0)

    @task(2)
    def book(self):
        head = self.client.head("/files/book.epub")
        wanted = int(head.headers["Content-Length"])
        with self.client.get("/files/book.epub", stream=True, catch_response=True) as answer:
            received = sum(len(part) for part in answer.iter_content(chunk_size=1000))
            if received != wanted:
                answer.failure(f"received {received} of {wanted} bytes")

    @task
    def part(self):
        self.client.get("/files/book.epub", headers={"Range": "bytes=0-99"}, name="part of a book")

    @task
    def review(self):
        picture = io.BytesIO(b"\x89PNG not really")
        files = {"photo": ("me.png", picture, "image/png"), "stars": (None, "5")}
        self.client.post("/reviews", files=files, data={"text": "fine"})
