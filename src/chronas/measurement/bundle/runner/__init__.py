"""The program of a bundle. Its files need only numpy and onnxruntime (Python 3.9); they are copied unchanged.

`bundle.program` copies them with the files of chronas that they import, which must not need other packages.
"""
