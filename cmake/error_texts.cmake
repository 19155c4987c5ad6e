# Writes all strings of the library's sources, as C has them, into a file: among them are the texts of errors, which builds
# without them name by hashes (core/status.h).  cmake -DOUTPUT=FILE -DSOURCES="A;B" -P error_texts.cmake
set(texts)
foreach(source IN LISTS SOURCES)
  file(READ ${source} content)
  # What lists of CMake are parted by, or keep together.
  string(REPLACE ";" "<semicolon>" content "${content}")
  string(REPLACE "[" "<open>" content "${content}")
  string(REPLACE "]" "<close>" content "${content}")
  # Strings that stand behind each other are one.
  string(REGEX MATCHALL "\"([^\"\\\n]|\\\\.)*\"([ \n]*\"([^\"\\\n]|\\\\.)*\")*" found "${content}")
  foreach(text IN LISTS found)
    string(APPEND texts "${text},\n")
  endforeach()
endforeach()
string(REPLACE "<semicolon>" ";" texts "${texts}")
string(REPLACE "<open>" "[" texts "${texts}")
string(REPLACE "<close>" "]" texts "${texts}")
file(WRITE ${OUTPUT} "${texts}")
