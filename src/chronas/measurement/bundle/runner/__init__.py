"""What a bundle runs elsewhere: files that need numpy and onnxruntime alone (Python 3.9), and are copied as they are.

`bundle.program` copies them with what they import of chronas, which must need no more than they do.
"""
