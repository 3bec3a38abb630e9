# Copies the contract IN to OUT and adds the options for C, with PREFIX before all names.
file(READ ${IN} text)
file(WRITE ${OUT} "${text}
import \"protobuf-c/protobuf-c.proto\";
option (pb_c_file).c_package = \"${PREFIX}\";
option (pb_c_file).const_strings = true;
option (pb_c_file).gen_pack_helpers = false;
")
